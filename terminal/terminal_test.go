package terminal

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
)

func TestATerminalIsJoinedAndRecorded(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 0)
	terminal := d.open()
	b := d.attach(terminal)
	b.kind("stty size; printf 'caf\\303\\251 \\033[31mred\\033[0m\\n'\n")
	d.eventually("the window has its size", func() bool { return b.shows("30 90") })
	d.eventually("it shows text", func() bool { return b.shows("café \x1b[31mred") })
	b.typed <- Message{Columns: 100, Rows: 40}
	b.kind("stty size\n")
	d.eventually("the window has its new size", func() bool { return b.shows("40 100") })
	b.kind("exit 4\n")
	if err := <-b.ended; err != nil {
		t.Fatal(err)
	}
	if want := "The shell ended with exit code 4."; b.end != want {
		t.Errorf("it ended with %q, want %q", b.end, want)
	}
	found := d.again(terminal)
	if found.EndedAt == nil || found.Ending != b.end {
		t.Errorf("stored as ended at %v with %q", found.EndedAt, found.Ending)
	}
	lines := strings.Split(strings.TrimSpace(d.cast(found)), "\n")
	var header struct{ Version, Width, Height int }
	if err := json.Unmarshal([]byte(lines[0]), &header); err != nil || header.Version != 2 || header.Width != 90 || header.Height != 30 {
		t.Errorf("the recording begins with %s (%v)", lines[0], err)
	}
	if got := string(Text([]byte(strings.Join(lines[1:], "\n")))); got != b.screen.String() {
		t.Errorf("recorded\n%q\nshown\n%q", got, b.screen.String())
	}
	if err := d.attach(found); (<-err.ended) == nil {
		t.Error("a terminal that has ended can be opened")
	}
}

func TestWhoComesBackSeesTheScreenAndGoesOn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 0)
	terminal := d.open()
	first := d.attach(terminal)
	first.kind("kept=here; echo before | tr a-z A-Z\n")
	d.eventually("the shell answers", func() bool { return first.shows("BEFORE") })
	first.cut()
	if err := <-first.ended; err != nil {
		t.Fatalf("a cut connection gives %v", err)
	}
	second := d.attach(d.again(terminal))
	d.eventually("the screen is shown", func() bool { return second.shows("BEFORE") })
	second.kind("echo it is $kept\n")
	d.eventually("the same shell answers", func() bool { return second.shows("it is here") })
	if !second.opened.Resumed {
		t.Error("the shell was started anew")
	}
	second.typed <- Message{Close: true}
	<-second.ended
	text := d.cast(d.again(terminal))
	if strings.Count(text, "BEFORE") != 1 || strings.Count(text, "it is here") != 1 {
		t.Errorf("the recording has a gap or a repeat:\n%s", text)
	}
}

// A process that dies between the shell's output and its recording loses
// nothing: the agent has it until it is recorded.
func TestWhatWasNotRecordedIsSentAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 0)
	terminal := d.open()
	first := d.attach(terminal)
	first.kind("echo one | tr a-z A-Z\n")
	d.eventually("the shell answers", func() bool { return first.shows("ONE") && d.again(terminal).Bytes > 0 })
	// Another process comes while the first still holds the stream, with what
	// the database knows; the first may not record any more.
	second := d.attach(d.again(terminal))
	if err := <-first.ended; cronium.CodeOf(err) != cronium.CodeConflict {
		t.Errorf("the first connection ended with %v", err)
	}
	second.kind("echo two | tr a-z A-Z; exit\n")
	if err := <-second.ended; err != nil {
		t.Fatal(err)
	}
	text := string(Text([]byte(d.cast(d.again(terminal)))))
	if strings.Count(text, "ONE") != 1 || strings.Count(text, "TWO") != 1 {
		t.Errorf("the recording has a gap or a repeat:\n%s", text)
	}
}

func TestATerminalThatNobodyTypesIntoIsClosed(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 300*time.Millisecond)
	b := d.attach(d.open())
	if err := <-b.ended; err != nil || !strings.Contains(b.end, "Nobody typed") {
		t.Errorf("it ended with %q, %v", b.end, err)
	}
}

func TestRecordingsAreSealedAndHoldNothingTyped(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 0)
	terminal := d.open()
	b := d.attach(terminal)
	b.kind("stty -echo; echo ask | tr a-z A-Z; head -n 1 | wc -c; echo canary-shown-7fd1 done | tr d D\n")
	d.eventually("the password is asked for", func() bool { return b.shows("ASK") })
	b.kind("canary-typed-93ab\n")
	d.eventually("the password is taken", func() bool { return b.shows("7fD1 Done") })
	b.kind("exit\n")
	<-b.ended
	found := d.again(terminal)
	if text := d.cast(found); !strings.Contains(text, "canary-shown-7fD1 Done") || strings.Contains(text, "canary-typed-93ab") {
		t.Errorf("recorded:\n%s", text)
	}
	parts, err := d.store.TerminalParts(t.Context(), d.workspace, terminal.ID, 0, 100)
	if err != nil || len(parts) == 0 {
		t.Fatal(len(parts), err)
	}
	for _, p := range parts {
		if bytes.Contains(p.Sealed, []byte("canary")) {
			t.Error("a recording is stored in the clear")
		}
	}
}

func TestCharactersAreNotCutInTwo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"": 0, "a": 1, "é": 2, "a\xc3": 1, "\xe2\x82": 0, "€": 3, "\xf0\x9f\x98": 0, "x😀": 5, "\xff": 1, "\x80\x80\x80\x80": 4,
	} {
		if got := wholeCharacters([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestAnAgentThatSkipsOutputIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 0)
	r, err := d.service.hold(t.Context(), d.open())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.add(0, []byte("ab\xc3")); err != nil {
		t.Fatal(err)
	}
	if err := r.add(3, []byte("\xa9")); err != nil {
		t.Errorf("the rest of a character: %v", err)
	}
	if r.add(9, []byte("x")) == nil {
		t.Error("a gap was taken")
	}
}
