package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"cronium.dev/client"
)

// askTime bounds how long a completion waits for the server.
const askTime = 800 * time.Millisecond

type completionCommand struct {
	Shell string   `arg:"" enum:"bash,zsh,fish,words" help:"bash, zsh or fish."`
	Words []string `arg:"" optional:"" passthrough:"" help:"For the shells: what is typed so far."`
}

// The shells ask the program itself for the words that may follow, so that names
// of events and servers are those of now. Nothing of what is typed is evaluated.
var completions = map[string]string{
	"bash": `_cronium() {
	local IFS=$'\n'
	COMPREPLY=($(cronium completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _cronium cronium
`,
	"zsh": `#compdef cronium
_cronium() {
	local -a found
	found=("${(@f)$(cronium completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	compadd -- $found
}
compdef _cronium cronium
`,
	"fish": `complete -c cronium -f -a '(cronium completion words -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
}

// Run prints a shell's script, or for it the words that may follow.
func (c *completionCommand) Run(ctx context.Context, app *kong.Kong) error {
	if c.Shell != "words" {
		_, err := fmt.Print(completions[c.Shell])
		return err
	}
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{""}
	}
	for _, word := range following(ctx, app.Model.Node, words) {
		if strings.HasPrefix(word, words[len(words)-1]) {
			fmt.Println(printable(word))
		}
	}
	return nil
}

// following is what may stand in the place of the last word.
func following(ctx context.Context, node *kong.Node, words []string) []string {
	typed, last := words[:len(words)-1], words[len(words)-1]
	positional := 0
	for _, word := range typed {
		if strings.HasPrefix(word, "-") {
			continue
		}
		if child := childOf(node, word); child != nil {
			node, positional = child, 0
		} else {
			positional++
		}
	}
	var list []string
	if strings.HasPrefix(last, "-") {
		for _, group := range node.AllFlags(true) {
			for _, flag := range group {
				list = append(list, "--"+flag.Name)
			}
		}
		return list
	}
	for _, child := range node.Children {
		if !child.Hidden {
			list = append(list, child.Name)
		}
	}
	if len(list) == 0 && positional < len(node.Positional) {
		list = namesFor(ctx, node.Positional[positional].Name)
	}
	return list
}

func childOf(node *kong.Node, name string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

// namesFor asks the server for the names that an argument takes. Without a login,
// or when it does not answer at once, there are none.
func namesFor(ctx context.Context, argument string) []string {
	path, field := map[string]string{"event": "/events", "server": "/servers", "job": "/jobs"}[argument], "name"
	if argument == "job" {
		field = "id"
	}
	if argument == "shell" {
		return []string{"bash", "zsh", "fish"}
	}
	flags := clientFlags{Server: os.Getenv("CRONIUM_SERVER")}
	api, err := flags.client()
	if err != nil || path == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	entries, err := client.List[map[string]any](ctx, api, path, path[1:], nil, 200)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if name, ok := e[field].(string); ok {
			names = append(names, name)
		}
	}
	return names
}
