package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode"
)

const root = "../.."

// documents are all that a person reads: those in the top folder and in docs/.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = string(text)
		}
	}
	return texts
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)(?: "[^"]*")?\)`)
	fence   = regexp.MustCompile("(?ms)^```[^\n]*\n(.*?)^```")
	inline  = regexp.MustCompile("`([^`\n]+)`")
	heading = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
)

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for name, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			target := m[1]
			if strings.HasPrefix(target, "https://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			path, anchor, _ := strings.Cut(target, "#")
			file := name
			if path != "" {
				file = filepath.Join(filepath.Dir(name), path)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: the link %s leads nowhere", name, target)
				continue
			}
			if anchor != "" && !hasHeading(t, file, anchor) {
				t.Errorf("%s: %s has no heading #%s", name, file, anchor)
			}
		}
	}
}

func hasHeading(t *testing.T, file, anchor string) bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
		if slug(m[1]) == anchor {
			return true
		}
	}
	return false
}

// slug is the anchor that a heading gets where the documents are shown.
func slug(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, title)
}

// commands returns each line that a document shows as code.
func commands(text string) []string {
	var lines []string
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		lines = append(lines, strings.Split(m[1], "\n")...)
	}
	for _, m := range inline.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		lines = append(lines, m[1])
	}
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
	}
	return lines
}

var makeTarget = regexp.MustCompile(`^(?:[A-Z_]+=\S+ )*make ([a-z][a-z-]*)`)

func TestMakeTargetsExist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range documents(t) {
		for _, line := range commands(text) {
			if m := makeTarget.FindStringSubmatch(line); m != nil && !strings.Contains(string(makefile), "\n"+m[1]+":") {
				t.Errorf("%s: %q: the Makefile has no target %s", name, line, m[1])
			}
		}
	}
}

var (
	serverCommand = regexp.MustCompile(`^(?:[A-Z_]+=\S+ )*(?:sudo )?(?:\./)?(?:bin/)?cronium (serve|migrate|backup|restore|keys|user|token|doctor)\b(.*)`)
	subcommand    = regexp.MustCompile(`^ ([a-z]+)\b`) // of user and token
	flagName      = regexp.MustCompile(`(?:^|\s)(--[a-z][a-z-]*)`)
)

func TestServerCommandsAndFlagsExist(t *testing.T) {
	t.Parallel()
	program := sync.OnceValue(func() string { return build(t) })
	for name, text := range documents(t) {
		for _, line := range commands(text) {
			m := serverCommand.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			args := []string{m[1]}
			if word := subcommand.FindStringSubmatch(m[2]); word != nil {
				args = append(args, word[1])
			}
			help, err := exec.Command(program(), append(args, "--help")...).CombinedOutput()
			if err != nil {
				t.Errorf("%s: %q: the program says: %s", name, line, help)
				continue
			}
			for _, f := range flagName.FindAllStringSubmatch(m[2], -1) {
				if !strings.Contains(string(help), f[1]) {
					t.Errorf("%s: %q: cronium %s has no flag %s", name, line, strings.Join(args, " "), f[1])
				}
			}
		}
	}
}

func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "cronium")
	cmd := exec.Command("go", "build", "-o", program, "./cmd/server")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v\n%s", err, out)
	}
	return program
}
