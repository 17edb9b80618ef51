package manifest

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	agentproto "cronium.dev/agent/proto"
)

// Bounds of one manifest.
const (
	maxFiles     = 1000
	maxName      = 1024 // bytes of a whole file name
	maxNamePart  = 255  // bytes between two slashes: what file systems take
	maxTotalSize = 1 << 30
)

// checkForm refuses what no target may ever run, whoever signed it.
func checkForm(m *agentproto.Manifest) error {
	if err := CheckID(m.GetExecutionId()); err != nil {
		return fmt.Errorf("%w: %v", ErrForm, err)
	}
	if len(m.GetCommand()) == 0 || m.GetCommand()[0] == "" {
		return fmt.Errorf("%w: it has no command", ErrForm)
	}
	for _, word := range m.GetCommand() {
		if strings.ContainsRune(word, 0) {
			return fmt.Errorf("%w: a word of the command holds a NUL", ErrForm)
		}
	}
	for name, value := range m.GetEnvironment() {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return fmt.Errorf("%w: %q cannot be an environment variable", ErrForm, name)
		}
	}
	if err := checkLimits(m.GetLimits()); err != nil {
		return err
	}
	return checkFiles(m)
}

func checkLimits(l *agentproto.Limits) error {
	for _, v := range []int64{l.GetSetupMs(), l.GetRunMs(), l.GetCleanupMs(), l.GetGraceMs(), l.GetOutputBytes(), l.GetSpoolBytes()} {
		if v < 0 {
			return fmt.Errorf("%w: a limit is negative", ErrForm)
		}
	}
	return nil
}

func checkFiles(m *agentproto.Manifest) error {
	if len(m.GetFiles()) > maxFiles {
		return fmt.Errorf("%w: it has %d files, at most %d are allowed", ErrForm, len(m.GetFiles()), maxFiles)
	}
	var names nameSet
	var total int64
	entry := m.GetEntry() == ""
	for _, f := range m.GetFiles() {
		if err := names.add(f.GetName()); err != nil {
			return fmt.Errorf("%w: %v", ErrForm, err)
		}
		if !isDigest(f.GetSha256()) {
			return fmt.Errorf("%w: file %q has no SHA-256 digest", ErrForm, f.GetName())
		}
		if f.GetSize() < 0 || f.GetSize() > maxTotalSize {
			return fmt.Errorf("%w: file %q has an impossible size", ErrForm, f.GetName())
		}
		if total += f.GetSize(); total > maxTotalSize {
			return fmt.Errorf("%w: its files are larger than %d bytes together", ErrForm, maxTotalSize)
		}
		entry = entry || f.GetName() == m.GetEntry()
	}
	if !entry {
		return fmt.Errorf("%w: its entry %q is not among its files", ErrForm, m.GetEntry())
	}
	return nil
}

// CheckID tells whether an execution's identifier is a UUID in its usual
// spelling, which also makes it a harmless file name.
func CheckID(id string) error {
	ok := len(id) == 36
	for i := 0; ok && i < len(id); i++ {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			ok = id[i] == '-'
		} else {
			ok = isHex(id[i])
		}
	}
	if !ok {
		return fmt.Errorf("%q is not a UUID in lower case", id)
	}
	return nil
}

func isDigest(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if !isHex(s[i]) {
			return false
		}
	}
	return true
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }

// CheckName tells whether a name of a file is relative, stays below its
// directory and can be created on any file system.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("a file has no name")
	case len(name) > maxName:
		return fmt.Errorf("the file name %.40q… is longer than %d bytes", name, maxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("the file name %q is not UTF-8", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the file name %q holds a control character", name)
	case strings.HasPrefix(name, "/"):
		return fmt.Errorf("the file name %q is absolute", name)
	case path.Clean(name) != name || name == "." || name == ".." || strings.HasPrefix(name, "../"):
		return fmt.Errorf("the file name %q has empty, \".\" or \"..\" parts", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > maxNamePart {
			return fmt.Errorf("a part of the file name %.40q… is longer than %d bytes", name, maxNamePart)
		}
	}
	return nil
}

// nameSet holds the names of one manifest and refuses two that are one on a
// file system that ignores case, and a file that another needs as a directory.
type nameSet struct {
	files, directories map[string]bool
}

func (s *nameSet) add(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if s.files == nil {
		s.files, s.directories = map[string]bool{}, map[string]bool{}
	}
	folded := strings.ToLower(strings.ToUpper(name))
	if s.files[folded] || s.directories[folded] {
		return fmt.Errorf("two files are named %q (case apart)", name)
	}
	s.files[folded] = true
	for dir := path.Dir(folded); dir != "."; dir = path.Dir(dir) {
		if s.files[dir] {
			return fmt.Errorf("%q needs a directory where another file is", name)
		}
		s.directories[dir] = true
	}
	return nil
}
