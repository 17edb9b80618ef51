package secrets

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// Lengths of patterns, in bytes. What is shorter is not looked for; what is
// longer is cut into pieces that cover it, so that no more than maxPattern-1
// bytes of a stream have to be held back.
const (
	minPattern = 4
	maxPattern = 128
)

// filterBits is the size of a Mask's filter as a power of two: 16 KiB, which a
// processor keeps at hand.
const filterBits = 17

// Mask knows secrets in all forms in which output may show them. It is not
// changed any more once it is made, so that any number of runs may share it.
type Mask struct {
	patterns map[uint32][][]byte // by their first four bytes; the longest first
	filter   []uint64            // which first four bytes there are, by hash: most text is passed over by it
	heads    [minPattern]map[string]bool
	longest  int
	forms    map[string]bool // all patterns, for With
}

// NewMask makes a Mask for values. Without any it masks nothing.
func NewMask(values ...[]byte) *Mask {
	forms := map[string]bool{}
	for _, value := range values {
		addForms(forms, value)
	}
	return compile(forms)
}

// With is a Mask for more values.
func (m *Mask) With(values ...[]byte) *Mask {
	forms := make(map[string]bool, len(m.forms))
	for form := range m.forms {
		forms[form] = true
	}
	for _, value := range values {
		addForms(forms, value)
	}
	if len(forms) == len(m.forms) {
		return m
	}
	return compile(forms)
}

// Empty tells whether there is nothing to mask.
func (m *Mask) Empty() bool { return m == nil || len(m.patterns) == 0 }

func compile(forms map[string]bool) *Mask {
	m := &Mask{patterns: map[uint32][][]byte{}, filter: make([]uint64, 1<<(filterBits-6)), forms: forms}
	for n := range m.heads {
		m.heads[n] = map[string]bool{}
	}
	for form := range forms {
		pattern := []byte(form)
		head := binary.BigEndian.Uint32(pattern)
		m.patterns[head] = append(m.patterns[head], pattern)
		h := hash(head)
		m.filter[h>>6] |= 1 << (h & 63)
		for n := 1; n < minPattern; n++ {
			m.heads[n][form[:n]] = true
		}
		m.longest = max(m.longest, len(pattern))
	}
	for _, same := range m.patterns {
		slices.SortFunc(same, func(a, b []byte) int { return cmp.Compare(len(b), len(a)) })
	}
	return m
}

func hash(head uint32) uint32 { return head * 0x9E3779B1 >> (32 - filterBits) }

// span is a part of a text, from the first byte to before the last.
type span struct{ from, to int }

// find gives the parts of text that are secret and begin before limit, in the
// order in which they begin; they may overlap.
func (m *Mask) find(text []byte, limit int, found []span) []span {
	if len(text) < minPattern || len(m.patterns) == 0 {
		return found
	}
	head := uint32(text[0])<<16 | uint32(text[1])<<8 | uint32(text[2])
	for i, next := range text[minPattern-1:] {
		if i >= limit {
			break
		}
		head = head<<8 | uint32(next)
		if h := hash(head); m.filter[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		for _, pattern := range m.patterns[head] {
			if bytes.HasPrefix(text[i:], pattern) {
				found = append(found, span{i, i + len(pattern)})
				break // the longest
			}
		}
	}
	return found
}

// begun is how many bytes at the end of text may be the beginning of a secret
// that goes on, at most: the longest such end. of is the length of the shortest
// pattern that they begin.
func (m *Mask) begun(text []byte) (length, of int) {
	for i := max(0, len(text)-m.longest+1); i < len(text); i++ {
		end := text[i:]
		if len(end) < minPattern {
			if m.heads[len(end)][string(end)] {
				return len(end), minPattern
			}
			continue
		}
		head := binary.BigEndian.Uint32(end)
		if h := hash(head); m.filter[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		for _, pattern := range slices.Backward(m.patterns[head]) {
			if len(pattern) > len(end) && bytes.HasPrefix(pattern, end) {
				return len(end), len(pattern)
			}
		}
	}
	return 0, 0
}

// stars overwrites a part of a text.
func stars(text []byte) {
	for i := range text {
		text[i] = '*'
	}
}

// Bytes overwrites what is secret in a whole text, in place, and tells whether
// there was any.
func (m *Mask) Bytes(text []byte) bool {
	if m.Empty() {
		return false
	}
	found := m.find(text, len(text), nil)
	for _, s := range found {
		stars(text[s.from:s.to])
	}
	return len(found) > 0
}

// Text is a text with what is secret in it overwritten.
func (m *Mask) Text(text string) string {
	if m.Empty() {
		return text
	}
	masked := []byte(text)
	if !m.Bytes(masked) {
		return text
	}
	return string(masked)
}
