package output

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cronium.dev/cronium"
)

// Position is a place between two bytes of an output.
type Position struct {
	Offset int64 // bytes of both streams before it
	Line   int64 // line feeds before it
}

// String is the form in addresses and event ids: OFFSET:LINE.
func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Offset, p.Line) }

// ParsePosition reads what String wrote.
func ParsePosition(s string) (Position, bool) {
	before, after, found := strings.Cut(s, ":")
	offset, err1 := strconv.ParseInt(before, 10, 64)
	line, err2 := strconv.ParseInt(after, 10, 64)
	ok := found && err1 == nil && err2 == nil && offset >= 0 && line >= 0 && line <= offset
	return Position{offset, line}, ok
}

// StreamName is a stream's name in the API.
func StreamName(s cronium.Stream) string {
	if s == cronium.Stderr {
		return "stderr"
	}
	return "stdout"
}

// ParseStream reads a stream's name; "" is both streams, given as 0.
func ParseStream(name string) (cronium.Stream, bool) {
	switch name {
	case "":
		return 0, true
	case "stdout":
		return cronium.Stdout, true
	case "stderr":
		return cronium.Stderr, true
	}
	return 0, false
}

// Record is a piece of text of one stream.
type Record struct {
	AtMS   float64 `json:"at_ms"` // since the execution's start
	Stream string  `json:"stream"`
	Text   string  `json:"text"`
}

// Decode turns chunks that follow one another, the first at from, into records,
// and says how far they reach. Where the chunks end within a character, the
// records end before it, because its rest may come; last says that nothing does.
func Decode(from Position, chunks []cronium.Chunk, last bool) ([]Record, Position) {
	records := make([]Record, 0, len(chunks))
	to := from
	var begun cronium.Chunk // a character that a chunk ended in
	for _, c := range chunks {
		to.Offset += int64(len(c.Data))
		to.Line += int64(bytes.Count(c.Data, []byte{'\n'}))
		data := c.Data
		if len(begun.Data) > 0 && begun.Stream == c.Stream {
			data = append(bytes.Clone(begun.Data), data...)
		} else {
			records = appendRecord(records, begun.At, begun.Stream, begun.Data)
		}
		whole := len(data) - incomplete(data)
		records = appendRecord(records, c.At, c.Stream, data[:whole])
		begun = cronium.Chunk{At: c.At, Stream: c.Stream, Data: data[whole:]}
	}
	if last {
		records = appendRecord(records, begun.At, begun.Stream, begun.Data)
	} else {
		to.Offset -= int64(len(begun.Data))
	}
	return records, to
}

func appendRecord(records []Record, at time.Duration, stream cronium.Stream, data []byte) []Record {
	if len(data) == 0 {
		return records
	}
	r := Record{AtMS: milliseconds(at), Stream: StreamName(stream), Text: Text(data)}
	if n := len(records); n > 0 && records[n-1].AtMS == r.AtMS && records[n-1].Stream == r.Stream {
		records[n-1].Text += r.Text
		return records
	}
	return append(records, r)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// incomplete is how many bytes at the end of data may begin a character that
// goes on behind it.
func incomplete(data []byte) int {
	for n := 1; n <= min(len(data), utf8.UTFMax-1); n++ {
		if b := data[len(data)-n]; utf8.RuneStart(b) {
			if b >= utf8.RuneSelf && !utf8.FullRune(data[len(data)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

// Text shows bytes as text: each that is no part of a UTF-8 character as
// U+FFFD, each NUL as ␀.
func Text(data []byte) string {
	if utf8.Valid(data) && bytes.IndexByte(data, 0) < 0 {
		return string(data)
	}
	var b strings.Builder
	b.Grow(len(data))
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == 0 {
			r = '␀'
		}
		b.WriteRune(r)
		data = data[n:]
	}
	return b.String()
}
