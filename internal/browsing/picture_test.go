package browsing

import (
	"os"
	"path/filepath"
)

// picture saves what the page looks like, if CRONIUM_PICTURES names a folder.
func (p *page) picture(name string) {
	if dir := os.Getenv("CRONIUM_PICTURES"); dir != "" {
		p.t.Helper()
		p.Screenshot(filepath.Join(dir, name+".png"))
	}
}
