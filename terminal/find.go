package terminal

import (
	"bytes"
	"context"
	"errors"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// Bounds of one search through recordings, which are sealed and so have no
// index.
const (
	findRecordings = 500
	findTime       = 4 * time.Second
	findPage       = 50
)

// errFound ends the reading of a recording.
var errFound = errors.New("found")

// Find gives the terminals, the newest first, whose recordings show the text, in
// any case. It looks at 500 recordings and for four seconds at most; whole tells
// whether it saw all.
func (s *Service) Find(ctx context.Context, workspace cronium.ID, text string) (found []cronium.Terminal, whole bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	wanted := bytes.ToLower([]byte(text))
	filter := store.TerminalFilter{Limit: findPage}
	for looked := 0; looked < findRecordings; looked += findPage {
		list, err := s.Store.Terminals(ctx, workspace, filter)
		if err != nil {
			return found, false, untilTimeout(err)
		}
		for i := range list {
			has, err := s.shows(ctx, &list[i], wanted)
			if err != nil {
				return found, false, untilTimeout(err)
			}
			if has {
				found = append(found, list[i])
			}
		}
		if len(list) < findPage {
			return found, true, nil
		}
		filter.Before = &list[len(list)-1].ID
	}
	return found, false, nil
}

// untilTimeout makes no error of the end of the time for a search.
func untilTimeout(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// shows tells whether a recording has the text, in lower case. A text that
// begins in one part and ends in the next is found too.
func (s *Service) shows(ctx context.Context, t *cronium.Terminal, wanted []byte) (bool, error) {
	var carried []byte
	err := s.parts(ctx, t, 0, func(lines []byte) error {
		text := append(carried, bytes.ToLower(plain(Text(lines)))...)
		if bytes.Contains(text, wanted) {
			return errFound
		}
		carried = append([]byte(nil), text[max(len(text)-len(wanted), 0):]...)
		return nil
	})
	if errors.Is(err, errFound) {
		return true, nil
	}
	return false, err
}

// plain leaves out what moves and colours: escape sequences (ECMA-48) and
// control characters other than line feeds.
func plain(text []byte) []byte {
	out := text[:0:0]
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == 0x1b:
			i = afterEscape(text, i)
		case c >= 0x20 || c == '\n':
			out = append(out, c)
		}
	}
	return out
}

// afterEscape gives the index of the last byte of the escape sequence at i.
func afterEscape(text []byte, i int) int {
	if i+1 >= len(text) {
		return i
	}
	switch text[i+1] {
	case '[': // ends with a letter or the like
		for j := i + 2; j < len(text); j++ {
			if text[j] >= 0x40 && text[j] <= 0x7e {
				return j
			}
		}
		return len(text) - 1
	case ']', 'P', '^', '_': // a string: ends with BEL or ESC \
		for j := i + 2; j < len(text); j++ {
			if text[j] == 0x07 {
				return j
			}
			if text[j] == 0x1b {
				return min(j+1, len(text)-1)
			}
		}
		return len(text) - 1
	}
	return i + 1
}
