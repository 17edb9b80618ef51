package output

import (
	"bytes"
	"context"
	"time"
	"unicode/utf8"

	"cronium.dev/cronium"
)

// Bounds of one call of Search.
const (
	MaxQuery      = 1000 // bytes
	maxFound      = 10_000
	maxSearchTime = 2 * time.Second
	// window is how much of one line is searched at once; what is looked for is
	// also found across the border of two windows.
	window = 1 << 20
)

// Query says what to look for.
type Query struct {
	Text       string // plain, on one line, 1 to MaxQuery bytes
	IgnoreCase bool
	From       int64 // line to begin with
	Limit      int   // lines to name, 1 to 10,000; 0 = 10,000
}

// Found is the lines that hold what was looked for.
type Found struct {
	Lines    []int64 `json:"lines" doc:"Numbers of the lines that contain it, rising, from 0"`
	Total    int64   `json:"total" doc:"How many lines contain it, as far as was searched"`
	More     bool    `json:"more" doc:"There may be more than the lines named here; search on from next_line"`
	NextLine *int64  `json:"next_line" doc:"Where to search on; null when there is nothing more"`
	Searched int64   `json:"searched" doc:"Bytes of output searched by this call"`
}

// Validate checks a query.
func (q *Query) Validate() cronium.Problems {
	var p cronium.Problems
	p.Add(len(q.Text) >= 1 && len(q.Text) <= MaxQuery && !bytes.ContainsAny([]byte(q.Text), "\n\r"), "q", "must be 1 to %d bytes of text on one line", MaxQuery)
	p.Add(q.From >= 0, "from_line", "must be 0 or more")
	p.Add(q.Limit >= 0 && q.Limit <= maxFound, "limit", "must be between 1 and 10,000")
	return p
}

// Matcher tells whether a line as it is shown contains the text.
func (q *Query) Matcher() func(line string) bool {
	s := newSearch(*q, 0)
	return func(line string) bool { return bytes.Contains(s.plain([]byte(line)), s.text) }
}

// Search names the lines that contain a text, as it is seen: colours and other
// escape sequences between its characters do not count. Beyond the limit lines
// are counted and not named. It stops after some time and says where to go on.
func (r *Reader) Search(ctx context.Context, q Query) (*Found, error) {
	start, chunks, err := r.Find(ctx, q.From)
	if err != nil {
		return nil, err
	}
	s := newSearch(q, start.Line)
	p := start
	began := time.Now()
	for {
		if len(chunks) == 0 {
			if chunks, err = r.after(ctx, p); err != nil {
				return nil, err
			}
		}
		if len(chunks) == 0 {
			s.scan(true)
			break
		}
		p = endOf(chunks)
		for _, c := range chunks {
			s.pending = append(s.pending, c.Data...)
		}
		chunks = nil
		s.scan(false)
		if time.Since(began) > maxSearchTime && s.line > start.Line {
			s.stopped = true
			break
		}
	}
	return s.result(p.Offset - start.Offset), nil
}

// search is the state between two parts of the output.
type search struct {
	text       []byte
	ignoreCase bool
	limit      int

	line    int64  // that pending begins in
	pending []byte // not yet searched
	hit     bool   // in the line so far
	found   []int64
	total   int64
	unnamed int64 // the first line that was only counted
	stopped bool  // before the end
}

func newSearch(q Query, line int64) *search {
	s := &search{text: []byte(q.Text), ignoreCase: q.IgnoreCase, limit: q.Limit, line: line}
	if s.limit == 0 {
		s.limit = maxFound
	}
	if s.ignoreCase {
		s.text = bytes.ToLower(s.text)
	}
	return s
}

// scan searches the lines that are complete, and a part of one that is too long
// to wait for.
func (s *search) scan(last bool) {
	end := bytes.LastIndexByte(s.pending, '\n') + 1
	s.lines(s.pending[:end])
	s.pending = s.pending[end:]
	if !last && len(s.pending) < window {
		s.pending = bytes.Clone(s.pending)
		return
	}
	s.hit = s.hit || bytes.Contains(s.plain(s.pending), s.text)
	if last {
		s.endLine()
		return
	}
	// What is kept could be the beginning of what is looked for, which in
	// another case may have more bytes.
	keep := s.pending[max(len(s.pending)-utf8.UTFMax*len(s.text), 0):]
	for len(keep) > 0 && !utf8.RuneStart(keep[0]) {
		keep = keep[1:]
	}
	s.pending = bytes.Clone(keep)
}

// lines searches whole lines at once and counts line feeds only up to a hit.
func (s *search) lines(data []byte) {
	data = s.plain(data)
	for len(data) > 0 {
		feed := bytes.IndexByte(data, '\n')
		if !s.hit {
			at := bytes.Index(data, s.text)
			if at < 0 {
				s.line += int64(bytes.Count(data, []byte{'\n'}))
				return
			}
			// Skip to the line of the hit.
			skipped := bytes.LastIndexByte(data[:at], '\n') + 1
			s.line += int64(bytes.Count(data[:skipped], []byte{'\n'}))
			data = data[skipped:]
			feed = bytes.IndexByte(data, '\n')
			s.hit = true
		}
		s.endLine()
		s.line++
		data = data[feed+1:]
	}
}

func (s *search) endLine() {
	if !s.hit {
		return
	}
	s.hit = false
	s.total++
	if len(s.found) < s.limit {
		s.found = append(s.found, s.line)
	} else if s.total == int64(s.limit)+1 {
		s.unnamed = s.line
	}
}

func (s *search) result(searched int64) *Found {
	found := &Found{Lines: s.found, Total: s.total, Searched: searched}
	if found.Lines == nil {
		found.Lines = []int64{}
	}
	switch {
	case s.total > int64(s.limit):
		found.NextLine = &s.unnamed
	case s.stopped:
		found.NextLine = &s.line
	}
	found.More = found.NextLine != nil
	return found
}

// plain is data as it is compared: without escape sequences, in lower case
// where case is ignored. Line feeds stay.
func (s *search) plain(data []byte) []byte {
	if bytes.IndexByte(data, 0x1b) >= 0 {
		data = stripEscapes(data)
	}
	if s.ignoreCase {
		data = bytes.ToLower(data)
	}
	return data
}
