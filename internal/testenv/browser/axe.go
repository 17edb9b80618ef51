package browser

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/chromedp"

	"cronium.dev/internal/testenv"
)

// finding is one rule of axe that the page breaks.
type finding struct {
	ID     string
	Impact string
	Help   string
	Nodes  []struct{ Target []any }
}

// Axe fails the test for each accessibility rule that the page breaks now with
// serious or critical impact.
func (tab *Tab) Axe() {
	tab.t.Helper()
	root, err := testenv.Root()
	if err != nil {
		tab.t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(root, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		tab.t.Fatalf("read axe: %v; run make setup", err)
	}
	tab.Do(chromedp.Evaluate[chromedp.Void](string(source)))
	text := Eval[string](tab, "axe.run().then(r => JSON.stringify(r.violations))")
	var findings []finding
	if err := json.Unmarshal([]byte(text), &findings); err != nil {
		tab.t.Fatalf("read axe's findings: %v", err)
	}
	for _, f := range findings {
		if f.Impact != "serious" && f.Impact != "critical" {
			continue
		}
		var places []string
		for _, node := range f.Nodes {
			for _, target := range node.Target {
				if s, ok := target.(string); ok {
					places = append(places, s)
				}
			}
		}
		tab.t.Errorf("axe: %s (%s, %s) at %s", f.Help, f.ID, f.Impact, strings.Join(places, ", "))
	}
}
