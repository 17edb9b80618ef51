package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// names are the first groups of a pattern in a file, without those that are there
// for other reasons.
func names(t *testing.T, file, pattern string, but ...string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		if !slices.Contains(but, m[1]) && !slices.Contains(found, m[1]) {
			found = append(found, m[1])
		}
	}
	slices.Sort(found)
	return found
}

func TestTheHelperAPIIsWholeInEveryLanguageTheEditorAndTheDocuments(t *testing.T) {
	t.Parallel()
	const libs = "agent/helper/libs/"
	// `call` is what the others are made of; `compare_and_set` has two names in each language.
	python := names(t, libs+"python/cronium/__init__.py", `(?m)^def ([a-z]\w*)\(`)
	async := names(t, libs+"python/cronium/_async.py", `(?m)^    async def ([a-z]\w*)\(`, "call")
	bash := names(t, libs+"bin/cronium.sh", `(?m)^cronium_(\w+)\(\)`, "call", "compare_and_set_variable")
	command := names(t, libs+"bin/cronium.sh", `command cronium ([\w-]+)`, "call")
	node := names(t, libs+"node_modules/cronium/index.d.ts", `export function (\w+)\(`, "call")
	module := names(t, libs+"node_modules/cronium/index.mjs", `\b([a-z]\w+)[,\n ]`, "import", "cronium", "from", "export", "default", "const", "call", "compareAndSetVariable", "index", "js")
	snake := func(camel []string) []string {
		var list []string
		for _, name := range camel {
			list = append(list, strings.ToLower(regexp.MustCompile(`[A-Z]`).ReplaceAllString(name, "_$0")))
		}
		slices.Sort(list)
		return list
	}
	if len(python) < 13 {
		t.Fatalf("Python has %v", python)
	}
	for name, list := range map[string][]string{
		"AsyncCronium": async, "Bash": bash, "the types of Node.js": snake(node), "the module of Node.js": snake(module),
	} {
		if !slices.Equal(list, python) {
			t.Errorf("%s has\n%v\nPython\n%v", name, list, python)
		}
	}
	if len(command) != len(python) {
		t.Errorf("the command has %v", command)
	}
	for _, file := range []string{"docs/helper-api.md", "static/js/helpers.js"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range slices.Concat(prefixed("cronium.", python), prefixed("cronium.", node), prefixed("cronium_", bash)) {
			if !strings.Contains(string(text), call) {
				t.Errorf("%s does not have %s", file, call)
			}
		}
	}
}

func prefixed(prefix string, names []string) []string {
	var list []string
	for _, name := range names {
		list = append(list, prefix+name)
	}
	return list
}
