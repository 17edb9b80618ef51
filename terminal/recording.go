package terminal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"cronium.dev/cronium"
	"cronium.dev/secrets"
	"cronium.dev/store"
)

// Parts of a recording: how often one is stored, how large it may grow, and how
// much of the end is shown to who comes back.
const (
	flushEvery = time.Second
	partBytes  = 48 << 10
	tailBytes  = 64 << 10
)

// recording gathers what a shell prints, as lines of asciicast.
type recording struct {
	service  *Service
	terminal *cronium.Terminal
	holder   cronium.ID // this connection
	number   int        // of the next part
	taken    int64      // offset that lines reach
	rest     []byte     // the beginning of a character that is not whole yet
	lines    bytes.Buffer
}

// hold takes the recording over from every earlier connection.
func (s *Service) hold(ctx context.Context, t *cronium.Terminal) (*recording, error) {
	r := &recording{service: s, terminal: t, holder: cronium.NewID()}
	var err error
	r.taken, r.number, err = s.Store.HoldTerminal(ctx, t.WorkspaceID, t.ID, r.holder)
	return r, err
}

// add takes output that begins at offset. An agent that sends something else
// than what follows is broken.
func (r *recording) add(offset int64, data []byte) error {
	if offset != r.taken+int64(len(r.rest)) {
		return fmt.Errorf("the terminal sent byte %d where %d follows", offset, r.taken+int64(len(r.rest)))
	}
	text := append(r.rest, data...)
	whole := wholeCharacters(text)
	r.rest = append([]byte(nil), text[whole:]...)
	if whole == 0 {
		return nil
	}
	r.taken += int64(whole)
	seconds := time.Since(r.terminal.StartedAt).Seconds()
	line, err := json.Marshal([]any{json.Number(fmt.Sprintf("%.6f", max(seconds, 0))), "o", string(bytes.ToValidUTF8(text[:whole], []byte("\uFFFD")))})
	if err != nil {
		return fmt.Errorf("record terminal: %w", err)
	}
	r.lines.Write(line)
	r.lines.WriteByte('\n')
	return nil
}

// wholeCharacters is how much of the text does not end in the middle of a
// character.
func wholeCharacters(text []byte) int {
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if b := text[len(text)-back]; utf8.RuneStart(b) {
			if b >= utf8.RuneSelf && !utf8.FullRune(text[len(text)-back:]) {
				return len(text) - back
			}
			break
		}
	}
	return len(text)
}

func (r *recording) full() bool { return r.lines.Len() >= partBytes }

// flush stores what was gathered. It gives the offset that may be forgotten, 0
// when there was nothing to store.
func (r *recording) flush(ctx context.Context) (int64, error) {
	if r.lines.Len() == 0 {
		return 0, nil
	}
	t := r.terminal
	key, sealed, err := r.service.Secrets.Seal(ctx, t.WorkspaceID, secrets.PurposeTerminal(r.number), t.ID, r.lines.Bytes())
	if err != nil {
		return 0, err
	}
	part := store.TerminalPart{Number: r.number, DataKey: key, Sealed: sealed}
	if err := r.service.Store.RecordTerminal(ctx, t.WorkspaceID, t.ID, r.holder, r.taken, part); err != nil {
		return 0, err
	}
	r.number++
	r.lines.Reset()
	return r.taken, nil
}

// Cast writes a recording as an asciicast v2 file.
func (s *Service) Cast(ctx context.Context, t *cronium.Terminal, w io.Writer) error {
	header, err := json.Marshal(map[string]any{
		"version": 2, "width": t.Width, "height": t.Height, "timestamp": t.StartedAt.Unix(), "title": t.UserName + " on " + t.Target,
	})
	if err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	if _, err := w.Write(append(header, '\n')); err != nil {
		return err
	}
	return s.parts(ctx, t, 0, func(lines []byte) error {
		_, err := w.Write(lines)
		return err
	})
}

// partsAtOnce bounds how much of a recording is in memory.
const partsAtOnce = 16

// parts opens a recording's parts from a number on.
func (s *Service) parts(ctx context.Context, t *cronium.Terminal, from int, take func(lines []byte) error) error {
	for {
		parts, err := s.Store.TerminalParts(ctx, t.WorkspaceID, t.ID, from, partsAtOnce)
		if err != nil {
			return err
		}
		for _, part := range parts {
			lines, err := s.Secrets.Open(ctx, t.WorkspaceID, secrets.PurposeTerminal(part.Number), t.ID, part.DataKey, part.Sealed)
			if err != nil {
				return fmt.Errorf("open recording: %w", err)
			}
			if err := take(lines); err != nil {
				return err
			}
			from = part.Number + 1
		}
		if len(parts) < partsAtOnce {
			return nil
		}
	}
}

// Tail is the end of what was on the screen, at most 64 KiB.
func (s *Service) Tail(ctx context.Context, t *cronium.Terminal) ([]byte, error) {
	last, err := s.Store.LastTerminalPart(ctx, t.WorkspaceID, t.ID)
	if err != nil {
		return nil, err
	}
	var tail []byte
	err = s.parts(ctx, t, max(last-partsAtOnce+1, 0), func(lines []byte) error {
		tail = append(tail, Text(lines)...)
		if extra := len(tail) - tailBytes; extra > 0 {
			tail = append(tail[:0], tail[extra:]...)
		}
		return nil
	})
	return bytes.ToValidUTF8(tail, nil), err
}

// Text is what lines of asciicast show, without their times.
func Text(lines []byte) []byte {
	var text []byte
	for line := range bytes.Lines(lines) {
		var event []json.RawMessage
		var data string
		if json.Unmarshal(line, &event) == nil && len(event) == 3 && json.Unmarshal(event[2], &data) == nil {
			text = append(text, data...)
		}
	}
	return text
}
