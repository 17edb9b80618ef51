package architecture

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "cronium.dev/"

// maxLines is the length of a file that nobody wants to scroll through.
const maxLines = 500

// layers say for each top folder which others it may import. What is not
// listed may be imported by nobody, so a new folder needs its line here.
var layers = map[string][]string{
	"cronium":    {},
	"workflow":   {},
	"migrations": {},
	"static":     {},
	"postgres":   {},
	"agent":      {"outbound"},
	"outbound":   {},
	"diff":       {},
	"template":   {},
	"bundle":     {},

	"output":      {"cronium"},
	"schedule":    {"cronium"},
	"secrets":     {"cronium"},
	"inputschema": {"cronium"},
	"inventory":   {"cronium"},
	"webhook":     {"cronium"},
	"store":       {"cronium", "schedule", "workflow", "migrations", "secrets"},
	"auth":        {"cronium", "store", "secrets"},
	"live":        {"cronium", "store", "output"},
	"tools":       {"cronium", "secrets", "outbound", "inputschema", "template"},
	"artifacts":   {"cronium"},
	"executor":    {"cronium", "agent/proto", "agent/manifest", "agent/tunnel", "secrets"},
	"client":      {},
	"watch":       {"cronium", "agent/proto", "executor", "store", "live"},
	"files":       {"cronium", "agent/proto", "agent/manifest", "executor"},
	"terminal":    {"cronium", "agent/proto", "agent/manifest", "executor", "store", "secrets"},
	"jobs":        {"cronium", "template", "agent/proto", "inputschema", "schedule", "workflow", "executor", "store", "tools", "live", "auth", "secrets", "outbound"},
	"calls":       {"cronium", "template", "store", "secrets", "tools", "jobs", "outbound"},
	"views":       {"cronium", "inputschema", "schedule", "workflow", "static", "diff"},
	"handlers":    {"cronium", "bundle", "artifacts", "template", "inputschema", "inventory", "schedule", "workflow", "executor", "store", "tools", "live", "auth", "secrets", "files", "terminal", "watch", "jobs", "views", "static", "output", "diff", "outbound", "webhook"},

	// The programs and the tools around them wire everything.
	"cmd":      {"*"},
	"internal": {"*"},
}

// pure packages know no input or output, so none of these.
var pure = []string{"bundle", "cronium", "inventory", "schedule", "template", "workflow"}

// net/http is not among them: errors name their HTTP status.
var impure = []string{"net", "os", "os/exec", "database/sql", "io/ioutil", "syscall", "log", "log/slog"}

// parsers are the libraries that pure packages may use.
var parsers = []string{"github.com/google/uuid", "github.com/santhosh-tekuri/jsonschema/v6", "go.yaml.in/yaml/v3"}

// listed is what `go list` says about a package.
type listed struct {
	ImportPath   string
	Dir, Doc     string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Doc,GoFiles,TestGoFiles,XTestGoFiles,Imports", module+"...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 5 {
		t.Fatalf("go list found %d packages, expected all of Cronium's", len(all))
	}
	return all
}

// top is the first folder of a package of this module; "" for others.
func top(path string) string {
	rest, ok := strings.CutPrefix(path, module)
	if !ok {
		return ""
	}
	folder, _, _ := strings.Cut(rest, "/")
	return folder
}

func TestImportsPointDownwards(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		from := top(p.ImportPath)
		allowed, known := layers[from]
		if !known {
			t.Errorf("%s: the folder %q has no line in layers", p.ImportPath, from)
			continue
		}
		for _, imported := range p.Imports {
			if to := top(imported); to != "" && to != from && !permits(allowed, imported) {
				t.Errorf("%s imports %s: %q may import %v alone", p.ImportPath, imported, from, allowed)
			}
		}
	}
}

// permits reports whether the list has the imported package, its folder or "*".
func permits(allowed []string, imported string) bool {
	path := strings.TrimPrefix(imported, module)
	return slices.ContainsFunc(allowed, func(a string) bool {
		return a == "*" || path == a || strings.HasPrefix(path, a+"/")
	})
}

func TestAgentImportsNothingOfTheServer(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-e", "-deps", module+"cmd/agent").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		if folder := top(path); folder != "" && folder != "agent" && folder != "outbound" && path != module+"cmd/agent" {
			t.Errorf("cmd/agent depends on %s", path)
		}
	}
}

func TestDomainIsPure(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if !slices.Contains(pure, top(p.ImportPath)) {
			continue
		}
		for _, imported := range p.Imports {
			if slices.Contains(impure, imported) {
				t.Errorf("%s imports %s: it has no input or output", p.ImportPath, imported)
			}
			library := strings.Contains(strings.Split(imported, "/")[0], ".") && top(imported) == ""
			if library && !slices.Contains(parsers, imported) {
				t.Errorf("%s imports %s: the standard library and %v alone", p.ImportPath, imported, parsers)
			}
		}
	}
}

func TestEachPackageSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// vague names say nothing about what a package provides. ("helper" alone says
// something here: the helper API is a part of the product.)
var vague = regexp.MustCompile(`^(utils?|common|helpers|managers?|base|types|misc|shared|.+utils?)$`)

func TestPackagesAreNamedForWhatTheyProvide(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if name := filepath.Base(p.ImportPath); vague.MatchString(name) {
			t.Errorf("%s: %q says nothing", p.ImportPath, name)
		}
	}
}

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func TestFilesStayShort(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if lines := bytes.Count(text, []byte("\n")); lines > maxLines && !generated.Match(text) {
				t.Errorf("%s/%s has %d lines, at most %d", p.ImportPath, name, lines, maxLines)
			}
		}
	}
}
