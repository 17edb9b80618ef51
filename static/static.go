// Package static serves the front-end files that are built into the binary.
//
// Every file has one address, /static/HASH/NAME, where HASH is made from all
// files together: an address never changes its content and is cached for a
// year, relative references between the files hold, and a new build has new
// addresses. The style sheets are served joined, as css/cronium.css. Answers
// are compressed once, when a file is first asked for, and kept.
//
// css/ and js/ are ours; vendor/ is filled from node_modules by
// setup/vendor.mjs and not in the repository.
package static

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed css js vendor
var embedded embed.FS

// StyleSheet is the name of all style sheets in one.
const StyleSheet = "css/cronium.css"

// The names of the fonts that the style sheet asks for.
const (
	TextFont = "vendor/fonts/inter-latin-wght-normal.woff2"
	CodeFont = "vendor/fonts/jetbrains-mono-latin-400-normal.woff2"
)

// Files are the front-end files, ready to be served. Its methods may be called
// concurrently.
type Files struct {
	prefix string // "/static/HASH/"
	files  map[string]*file
}

// New reads the embedded files.
func New() (*Files, error) {
	s := &Files{files: map[string]*file{}}
	hash := sha256.New()
	err := fs.WalkDir(embedded, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || mediaType(name) == "" {
			return err
		}
		body, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(hash, "%s %d\n", name, len(body))
		hash.Write(body)
		if strings.HasPrefix(name, "js/") {
			body = withoutComments(body)
		}
		s.files[name] = newFile(name, body)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read front-end files: %w", err)
	}
	sheet, err := joined("tokens", "base", "components", "pages")
	if err != nil {
		return nil, err
	}
	s.files[StyleSheet] = newFile(StyleSheet, sheet)
	s.prefix = "/static/" + hex.EncodeToString(hash.Sum(nil))[:12] + "/"
	return s, nil
}

// URL is the address of a file: URL("js/app.js").
func (s *Files) URL(name string) string { return s.prefix + name }

// Names lists what is served, in order.
func (s *Files) Names() []string {
	names := make([]string, 0, len(s.files))
	for name := range s.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// joined puts style sheets behind one another, each in a layer of its name, so
// that a later one wins whatever its selectors; without comments and
// indentation.
func joined(names ...string) ([]byte, error) {
	var all bytes.Buffer
	for _, name := range names {
		body, err := embedded.ReadFile("css/" + name + ".css")
		if err != nil {
			return nil, fmt.Errorf("read front-end files: %w", err)
		}
		fmt.Fprintf(&all, "@layer %s{", name)
		text := string(body)
		for {
			before, rest, found := strings.Cut(text, "/*")
			for line := range strings.Lines(before) {
				all.WriteString(strings.TrimLeft(line, " \t\n"))
			}
			if !found {
				break
			}
			_, text, _ = strings.Cut(rest, "*/")
		}
		all.WriteString("}\n")
	}
	return all.Bytes(), nil
}

// withoutComments leaves out the lines of a script that are comments, and the
// indentation. Line numbers change; no text in our scripts goes over a line's
// end, which a test looks after.
func withoutComments(script []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(script) {
		line = bytes.TrimLeft(line, " ")
		if !bytes.HasPrefix(line, []byte("//")) && len(bytes.TrimSpace(line)) > 0 {
			out.Write(line)
		}
	}
	return out.Bytes()
}

// mediaType is the Content-Type of a name, "" for what is not served.
func mediaType(name string) string {
	switch path.Ext(name) {
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".woff2":
		return "font/woff2"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	return ""
}
