package output

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Plain is a line as a person sees it at the end: without escape sequences and
// control characters, and where a carriage return or backspace went back, with
// what was written over the text before. Tabs stay. A progress bar that was
// drawn a hundred times is its last state.
func Plain(line string) string {
	if strings.IndexFunc(line, control) < 0 {
		return line
	}
	var seen []rune
	at := 0
	for data := []byte(line); len(data) > 0; {
		r, n := utf8.DecodeRune(data)
		switch {
		case r == '\x1b':
			n = escapeLength(data)
			seen = erased(seen, at, data[:n])
		case r == '\r':
			at = 0
		case r == '\b':
			at = max(at-1, 0)
		case control(r):
		case at < len(seen):
			seen[at] = r
			at++
		default:
			seen = append(seen, r)
			at++
		}
		data = data[n:]
	}
	return strings.TrimRight(string(seen), " ")
}

// control tells whether a character is not shown: C0 without tab, DEL, C1.
func control(r rune) bool { return r < 0x20 && r != '\t' || r >= 0x7f && r < 0xa0 }

// erased is a line after an escape sequence: EL, ESC [ n K, erases from the
// cursor on (n absent or 0), up to it (1), or all (2). Others change nothing
// that is seen in a single line.
func erased(seen []rune, at int, sequence []byte) []rune {
	switch string(sequence) {
	case "\x1b[K", "\x1b[0K":
		return seen[:min(at, len(seen))]
	case "\x1b[1K", "\x1b[2K":
		if sequence[2] == '2' {
			seen = seen[:min(at, len(seen))]
		}
		for i := range seen[:min(at+1, len(seen))] {
			seen[i] = ' '
		}
	}
	return seen
}

// stripEscapes removes the escape sequences of terminals (ECMA-48).
func stripEscapes(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for len(data) > 0 {
		at := bytes.IndexByte(data, 0x1b)
		if at < 0 {
			return append(out, data...)
		}
		out = append(out, data[:at]...)
		data = data[at:]
		data = data[escapeLength(data):]
	}
	return out
}

// escapeLength is the length of the escape sequence at the beginning of data:
// a control sequence like a colour (ESC [), a command string like a link or a
// title (ESC ] and ESC P, X, ^, _), or a short one like the choice of a
// character set (ESC ( B). No sequence goes over the end of a line.
func escapeLength(data []byte) int {
	line := data
	if feed := bytes.IndexByte(data, '\n'); feed >= 0 {
		line = data[:feed]
	}
	if len(line) == 1 {
		return 1
	}
	switch line[1] {
	case '[':
		return controlLength(line)
	case ']', 'P', 'X', '^', '_':
		return stringLength(line)
	}
	i := 1
	for i < len(line) && line[i] >= 0x20 && line[i] <= 0x2f { // intermediate bytes
		i++
	}
	if i < len(line) && line[i] >= 0x30 && line[i] <= 0x7e {
		return i + 1
	}
	return i // it was broken off: what follows is text
}

func controlLength(line []byte) int {
	for i := 2; i < len(line); i++ {
		if line[i] >= 0x40 && line[i] <= 0x7e {
			return i + 1
		}
		if line[i] < 0x20 || line[i] > 0x3f {
			return i
		}
	}
	return len(line)
}

// stringLength looks for the end of a command string: BEL, or ESC \.
func stringLength(line []byte) int {
	for i := 2; i < len(line); i++ {
		if line[i] == 0x07 {
			return i + 1
		}
		if line[i] == 0x1b {
			if i+1 < len(line) && line[i+1] == '\\' {
				return i + 2
			}
			return i // another sequence begins
		}
	}
	return len(line)
}
