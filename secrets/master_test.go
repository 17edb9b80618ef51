package secrets

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cronium.dev/cronium"
)

func TestWhatIsSealedOpensInItsPlaceAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "plain")
		key := newKey().key
		sealed, err := seal(key, plain, []byte("here"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := open(key, sealed, []byte("here")); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%x, %v", got, err)
		}
		if _, err := open(key, sealed, []byte("there")); err == nil {
			t.Error("it opened in another place")
		}
		if _, err := open(newKey().key, sealed, []byte("here")); err == nil {
			t.Error("it opened with another key")
		}
		at := rapid.IntRange(0, len(sealed)-1).Draw(t, "at")
		sealed[at] ^= 1
		if _, err := open(key, sealed, []byte("here")); err == nil {
			t.Errorf("it opened with byte %d altered", at)
		}
		if _, err := open(key, sealed[:at], []byte("here")); err == nil {
			t.Errorf("it opened when cut to %d bytes", at)
		}
	})
}

func TestSealingTwiceGivesDifferentBytes(t *testing.T) {
	t.Parallel()
	key := newKey().key
	a, _ := seal(key, []byte("same"), nil)
	b, _ := seal(key, []byte("same"), nil)
	if bytes.Equal(a, b) {
		t.Error("the nonce was used twice")
	}
}

func TestTheMasterKeyIsMadeOnceAndPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fingerprints := make(chan string)
	for range 8 {
		go func() {
			m, err := LoadMaster(dir)
			if err != nil {
				t.Error(err)
				fingerprints <- ""
				return
			}
			fingerprints <- m.Newest()
		}()
	}
	first := <-fingerprints
	for range 7 {
		if f := <-fingerprints; f != first {
			t.Errorf("two keys: %s and %s", first, f)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	path := filepath.Join(dir, MasterFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadMaster(dir); cronium.CodeOf(err) != cronium.CodeInvalid || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read was taken: %v", err)
	}
}

func TestADamagedMasterKeyIsNamedWithoutItsContent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "c2VjcmV0LWJ1dC1zaG9ydA=="
	if err := os.WriteFile(filepath.Join(dir, MasterFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := LoadMaster(dir)
	if err == nil || !strings.Contains(err.Error(), "damaged") || strings.Contains(err.Error(), text) {
		t.Error(err)
	}
}

func TestAKeyThatIsAddedIsFoundByRunningServers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	running, err := LoadMaster(dir)
	if err != nil {
		t.Fatal(err)
	}
	tool, err := LoadMaster(dir)
	if err != nil {
		t.Fatal(err)
	}
	old := running.Newest()
	added, err := tool.add()
	if err != nil || added == old {
		t.Fatal(added, err)
	}
	if !running.Has(added) || !running.Has(old) {
		t.Error("the running server does not have both keys")
	}
	if err := tool.retire(added); err != nil {
		t.Fatal(err)
	}
	again, err := LoadMaster(dir)
	if err != nil || again.Newest() != added || again.Has(old) {
		t.Errorf("%v: the file should have the new key alone", err)
	}
}
