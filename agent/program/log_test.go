package program

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheLogOnAHostIsBounded(t *testing.T) {
	t.Parallel()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	log, line := newLog(f), strings.Repeat("x", 999)+"\n"
	for range 3 * logBytes / len(line) {
		if _, err := log.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
		if info, err := f.Stat(); err != nil || info.Size() > logBytes {
			t.Fatalf("the log has %d bytes (%v), more than %d", info.Size(), err, logBytes)
		}
	}
	if info, _ := f.Stat(); info.Size() == 0 {
		t.Error("nothing is left of it")
	}
}
