package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	agentproto "cronium.dev/agent/proto"
	"cronium.dev/agent/spool"
)

const stdout = agentproto.Stream_STREAM_STDOUT

// readAll reads from an offset to the end.
func readAll(t rapid.TB, l *spool.Log, from uint64) []byte {
	t.Helper()
	var all []byte
	r := l.NewReader(from)
	for {
		record, ok, err := r.Next()
		if err != nil {
			t.Fatalf("read from %d: %v", from, err)
		}
		if !ok {
			return all
		}
		if record.Offset != from+uint64(len(all)) {
			t.Fatalf("record at %d came where %d was next", record.Offset, from+uint64(len(all)))
		}
		all = append(all, record.Data...)
	}
}

// TestLogGivesBackWhatWasWritten writes, reads, acknowledges and opens the log
// anew in any order.
func TestLogGivesBackWhatWasWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "log")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		l := spool.NewLog(dir, 512<<10)
		var written []byte
		reader, read := l.NewReader(0), 0
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				data := bytes.Repeat([]byte{byte(len(written))}, rapid.IntRange(1, spool.MaxRecord).Draw(t, "size"))
				l.Append(stdout, int64(len(written)), data)
				written = append(written, data...)
			},
			"follow": func(t *rapid.T) {
				record, ok, err := reader.Next()
				if err != nil || ok != (read < len(written)) {
					t.Fatalf("at %d of %d: %v, %v", read, len(written), ok, err)
				}
				if !bytes.Equal(record.Data, written[read:read+len(record.Data)]) {
					t.Fatalf("other bytes at %d", read)
				}
				read += len(record.Data)
			},
			"acknowledge what was read": func(t *rapid.T) {
				if err := l.Acknowledge(uint64(rapid.IntRange(0, read).Draw(t, "offset"))); err != nil {
					t.Fatal(err)
				}
			},
			"read from any offset": func(t *rapid.T) {
				from := rapid.IntRange(int(l.Acknowledged()), len(written)).Draw(t, "from")
				if got := readAll(t, l, uint64(from)); !bytes.Equal(got, written[from:]) {
					t.Fatalf("from %d came %d bytes", from, len(got))
				}
			},
			"write a little": func(t *rapid.T) {
				for range 3 {
					l.Append(stdout, 0, []byte{1})
					written = append(written, 1)
				}
			},
			"open anew": func(t *rapid.T) {
				l.Close()
				if l, err = spool.OpenLog(dir); err != nil {
					t.Fatal(err)
				}
				reader = l.NewReader(uint64(read))
			},
			"": func(t *rapid.T) {
				if l.End() != uint64(len(written)) {
					t.Fatalf("the end is %d, %d bytes were written", l.End(), len(written))
				}
			},
		})
		l.Close()
	})
}

func TestRecordKeepsStreamAndTime(t *testing.T) {
	t.Parallel()
	l := spool.NewLog(t.TempDir(), 0)
	l.Append(agentproto.Stream_STREAM_STDERR, 123_456_789_012, []byte("hello"))
	record, ok, err := l.NewReader(2).Next()
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if record.Offset != 2 || record.Stream != agentproto.Stream_STREAM_STDERR || record.At != 123_456_789_012 || string(record.Data) != "llo" {
		t.Errorf("%+v", record)
	}
}

func TestAcknowledgedOutputIsRemovedFromDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := spool.NewLog(dir, 512<<10)
	block := make([]byte, spool.MaxRecord)
	for range 10 << 20 / spool.MaxRecord {
		l.Append(stdout, 0, block)
		if err := l.Acknowledge(l.End()); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) > 2 {
		t.Errorf("%d files are left, %v", len(files), err)
	}
	if _, _, err := l.NewReader(0).Next(); !errors.Is(err, spool.ErrRange) {
		t.Errorf("reading what was removed: %v", err)
	}
	if err := l.Acknowledge(l.End() + 1); !errors.Is(err, spool.ErrRange) {
		t.Errorf("acknowledging what was not written: %v", err)
	}
}

func TestRoomIsWaitedForByAllWhoWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := spool.NewLog(dir, 64<<10)
		for range 2 {
			l.Append(stdout, 0, make([]byte, spool.MaxRecord))
		}
		closed := make(chan struct{})
		close(closed)
		if l.Room(closed) {
			t.Fatal("there is room in a full log")
		}
		got := make(chan bool, 2)
		for range 2 { // as standard output and standard error
			go func() { got <- l.Room(nil) }()
		}
		synctest.Wait()
		if len(got) != 0 {
			t.Fatal("a full log was not waited for")
		}
		if err := l.Acknowledge(l.End()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if !<-got {
				t.Error("no room after an acknowledgement")
			}
		}
	})
}

func TestWhatWasHalfWrittenWhenTheAgentDiedIsCutOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := spool.NewLog(dir, 0)
	l.Append(stdout, 0, []byte("whole "))
	l.Append(stdout, 0, []byte("and half"))
	l.Close()
	name := filepath.Join(dir, fmt.Sprintf("output.%016x", 0))
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for what, damaged := range map[string][]byte{
		"shorter": raw[:len(raw)-3],
		"altered": append(bytes.Clone(raw[:len(raw)-3]), "xyz"...),
	} {
		if err := os.WriteFile(name, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := spool.OpenLog(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, l, 0); string(got) != "whole " {
			t.Errorf("%s: %q is kept", what, got)
		}
		l.Append(stdout, 0, []byte("more"))
		if got := readAll(t, l, 0); string(got) != "whole more" {
			t.Errorf("%s: %q after another record", what, got)
		}
		l.Close()
		os.Remove(filepath.Join(dir, fmt.Sprintf("output.%016x", 6)))
	}
}

// TestFullDiskIsBridgedInMemory gives the log a file that takes nothing.
func TestFullDiskIsBridgedInMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(dir, fmt.Sprintf("output.%016x", 0))); err != nil {
		t.Fatal(err)
	}
	l := spool.NewLog(dir, 0)
	var want []byte
	for i := range 20 {
		data := bytes.Repeat([]byte{byte(i)}, 10_000)
		l.Append(stdout, 0, data)
		want = append(want, data...)
	}
	if l.Trouble() == nil {
		t.Error("nobody was told")
	}
	if got := readAll(t, l, 0); !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d are there", len(got), len(want))
	}
	if err := l.Acknowledge(l.End()); err != nil {
		t.Fatal(err)
	}
	l.Append(stdout, 0, []byte("on disk again"))
	if got := readAll(t, l, l.Acknowledged()); string(got) != "on disk again" {
		t.Errorf("afterwards came %q", got)
	}
}

func TestMemoryForAFullDiskIsBounded(t *testing.T) {
	t.Parallel()
	l := spool.NewLog(filepath.Join(t.TempDir(), "missing"), 0)
	closed := make(chan struct{})
	close(closed)
	n := 0
	for l.Room(closed) {
		l.Append(stdout, 0, make([]byte, spool.MaxRecord))
		if n += spool.MaxRecord; n > 1<<20 {
			t.Fatal("more than a megabyte is held in memory")
		}
	}
	if err := l.Acknowledge(l.End()); err != nil {
		t.Fatal(err)
	}
	if !l.Room(closed) {
		t.Error("no room after all was acknowledged")
	}
}
