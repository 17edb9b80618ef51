package files

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cronium.dev/cronium"
)

func TestFilesComeBackAsTheyWerePut(t *testing.T) {
	t.Parallel()
	s := newService(t, "web")
	dir := t.TempDir()
	content := make([]byte, 3<<20+17)
	rand.Read(content)
	// Names are bytes, and none of them means anything to a shell or a URL.
	for _, name := range []string{"plain", "$(touch x) ; 'a' \"b\" & ?#%2f", "-rf", "caf\xe9 \n\t\x1b[31m", "Grüße 😀", ".hidden"} {
		path := Join(dir, name)
		if err := s.Put(t.Context(), web, Upload{Path: path, Size: int64(len(content))}, bytes.NewReader(content)); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		d, err := s.Open(t.Context(), web, path)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		got, err := io.ReadAll(d)
		d.Close()
		if err != nil || !bytes.Equal(got, content) || d.Name != name || d.Size != int64(len(content)) {
			t.Errorf("%q came back as %q with %d bytes, %v", name, d.Name, len(got), err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "zz"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("plain", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	folder, err := s.List(t.Context(), web, dir+"/./")
	if err != nil || folder.Path != dir || len(folder.Files) != 8 || !folder.Files[0].Mode.IsDir() {
		t.Fatalf("%+v, %v", folder, err)
	}
	for _, f := range folder.Files {
		if f.Name == "link" && (f.Link != "plain" || f.Mode&fs.ModeSymlink == 0) {
			t.Errorf("the link is told as %+v", f)
		}
		if shown := Shown(f.Name); strings.ContainsAny(shown, "\n\x1b") {
			t.Errorf("%q is shown as %q", f.Name, shown)
		}
	}
	home, err := s.List(t.Context(), web, "")
	if err != nil || !filepath.IsAbs(home.Path) {
		t.Errorf("the home is %+v, %v", home, err)
	}
}

func TestWhatIsThereIsReplacedOnlyWhenThatIsWanted(t *testing.T) {
	t.Parallel()
	s := newService(t, "web")
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("old"), 0o750); err != nil {
		t.Fatal(err)
	}
	err := s.Put(t.Context(), web, Upload{Path: path, Size: 3}, strings.NewReader("new"))
	if cronium.CodeOf(err) != cronium.CodeConflict {
		t.Errorf("writing over a file gives %v", err)
	}
	// One that ends early leaves the old one.
	err = s.Put(t.Context(), web, Upload{Path: path, Size: 9, Replace: true}, strings.NewReader("new"))
	if cronium.CodeOf(err) != cronium.CodeInvalid {
		t.Errorf("an upload that ends early gives %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("it became %q", got)
	}
	if err := s.Put(t.Context(), web, Upload{Path: path, Size: 3, Replace: true}, strings.NewReader("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if got, _ := os.ReadFile(path); err != nil || string(got) != "new" || info.Mode().Perm() != 0o750 {
		t.Errorf("it became %q of mode %v, %v", got, info.Mode(), err)
	}
}

func TestRefusalsSayWhy(t *testing.T) {
	t.Parallel()
	s := newService(t, "web")
	dir := t.TempDir()
	for path, want := range map[string]struct {
		code cronium.Code
		text string
	}{
		"relative":                       {cronium.CodeInvalid, "absolute"},
		"":                               {cronium.CodeInvalid, "absolute"},
		"/a\x00b":                        {cronium.CodeInvalid, "zero byte"},
		"/" + strings.Repeat("a", 5000):  {cronium.CodeInvalid, "longer"},
		dir:                              {cronium.CodeInvalid, "not a regular file"},
		filepath.Join(dir, "a\x1b[2Jb"):  {cronium.CodeNotFound, "does not exist"},
		filepath.Join(dir, "..", "nope"): {cronium.CodeNotFound, "does not exist"},
	} {
		d, err := s.Open(t.Context(), web, path)
		if err == nil {
			d.Close()
		}
		var public *cronium.Error
		if !errors.As(err, &public) || public.Code != want.code || !strings.Contains(public.Message, want.text) || strings.Contains(public.Message, "\x1b") {
			t.Errorf("%.40q gives %v", path, err)
		}
	}
	big := Upload{Path: filepath.Join(dir, "big"), Size: MaxUpload + 1}
	if err := s.Put(t.Context(), web, big, strings.NewReader("")); cronium.CodeOf(err) != cronium.CodeInvalid {
		t.Errorf("an upload that is too large gives %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// What was signed for one server is refused by another.
func TestAGrantIsForOneServer(t *testing.T) {
	t.Parallel()
	s := newService(t, "db")
	if _, err := s.List(t.Context(), web, "/"); cronium.CodeOf(err) != cronium.CodeConflict {
		t.Errorf("%v", err)
	}
}
