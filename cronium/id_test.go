package cronium

import (
	"bytes"
	"testing"
)

func TestTheBeginningOfAnIDIsARangeOfIDs(t *testing.T) {
	t.Parallel()
	id := NewID()
	for n := ShortestPrefix; n <= 36; n++ {
		first, last, ok := IDsBeginning(id.String()[:n])
		if !ok || bytes.Compare(first[:], id[:]) > 0 || bytes.Compare(id[:], last[:]) > 0 || first.String()[:n] != id.String()[:n] || last.String()[:n] != id.String()[:n] {
			t.Errorf("%d characters: %s to %s, %v", n, first, last, ok)
		}
	}
	for _, text := range []string{"", "01a21", "01a211c004ee", "01a21g", "../events", id.String() + "0", "urn:uu", "{01a21"} {
		if _, _, ok := IDsBeginning(text); ok {
			t.Errorf("%q begins an id", text)
		}
	}
}
