package ssh

import (
	_ "embed"
	"strings"
)

//go:embed bootstrap.sh
var bootstrap string

// command is what is asked of the machine, the same for all machines and
// purposes. Its quotes mean the same to sh, bash, dash, zsh, fish and csh.
func command() string {
	return `exec /bin/sh -c 'eval "$1"' cronium '` + oneLine(bootstrap) + `'`
}

// oneLine joins a script's lines without its comments.
func oneLine(script string) string {
	var b strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(line)
	}
	return b.String()
}
