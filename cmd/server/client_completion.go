package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"cronium.dev/client"
)

// A completion waits askTime for the server at most, and what it said is good for
// namesGood.
const (
	askTime   = 800 * time.Millisecond
	namesGood = 20 * time.Second
)

type completionCommand struct {
	Shell string   `arg:"" enum:"bash,zsh,fish,words" help:"bash, zsh or fish."`
	Words []string `arg:"" optional:"" passthrough:"" help:"For the shells: what is typed so far."`
}

// The shells ask the program itself for the words that may follow, so that names
// of events and servers are those of now. Nothing of what is typed is evaluated.
var completions = map[string]string{
	"bash": `_cronium() {
	local IFS=$'\n' i quote=
	local -a typed=("${COMP_WORDS[@]:1:COMP_CWORD}")
	case ${typed[-1]} in [\"\']*) quote=${typed[-1]:0:1} ;; esac
	for i in "${!typed[@]}"; do
		case ${typed[i]} in [\"\']*) typed[i]=${typed[i]:1}; typed[i]=${typed[i]%[\"\']} ;; esac
		typed[i]=${typed[i]//\\/}
	done
	COMPREPLY=($(cronium completion words -- "${typed[@]}" 2>/dev/null))
	if [ -z "$quote" ]; then
		for i in "${!COMPREPLY[@]}"; do printf -v "COMPREPLY[i]" %q "${COMPREPLY[i]}"; done
	fi
}
complete -o default -F _cronium cronium
`,
	"zsh": `#compdef cronium
_cronium() {
	local -a found
	found=(${(f)"$(cronium completion words -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)"})
	if (( $#found )); then compadd -- "${(@)found}"; else _files; fi
}
if [ "$funcstack[1]" = _cronium ]; then _cronium; else compdef _cronium cronium; fi
`,
	"fish": `complete -c cronium -f -a '(cronium completion words -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
complete -c cronium -l input-file -r -F
complete -c cronium -l token-file -r -F
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
	asked := completing{}
	positional := 0
	var valued *kong.Flag // whose value comes next
	for _, word := range typed {
		switch {
		case valued != nil:
			asked.note(valued, word)
			valued = nil
		case strings.HasPrefix(word, "-"):
			name, value, given := strings.Cut(word, "=")
			if flag := flagOf(node, name); flag != nil && given {
				asked.note(flag, value)
			} else if flag != nil && !flag.IsBool() {
				valued = flag
			}
		case childOf(node, word) != nil:
			node, positional = childOf(node, word), 0
		default:
			positional++
		}
	}
	if valued != nil {
		return asked.values(ctx, valued.Value)
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
		list = asked.values(ctx, node.Positional[positional])
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

func flagOf(node *kong.Node, word string) *kong.Flag {
	for _, group := range node.AllFlags(true) {
		for _, flag := range group {
			if word == "--"+flag.Name || flag.Short != 0 && word == "-"+string(flag.Short) {
				return flag
			}
		}
	}
	return nil
}

// completing is what the words so far say about where to ask.
type completing struct{ server string }

func (c *completing) note(flag *kong.Flag, value string) {
	if flag.Name == "server" {
		c.server = value
	}
}

// values are those that an argument or a flag takes.
func (c *completing) values(ctx context.Context, v *kong.Value) []string {
	if v.Enum != "" {
		return slices.DeleteFunc(v.EnumSlice(), func(word string) bool { return word == "" || word == "words" })
	}
	switch {
	case v.Name == "event":
		return c.names(ctx, "/events", "events", "name")
	case v.Name == "server" && v.Flag == nil, v.Name == "host", v.Name == "on-names":
		return c.names(ctx, "/servers", "servers", "name")
	case v.Name == "job":
		return c.names(ctx, "/jobs", "jobs", "id")
	case v.Name == "status":
		return []string{"QUEUED", "CLAIMED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"}
	case v.Name == "server":
		l, err := readLogins()
		if err != nil {
			return nil
		}
		var known []string
		for name := range l.Names {
			known = append(known, name)
		}
		for address := range l.Tokens {
			known = append(known, address)
		}
		return known
	}
	return nil
}

// names asks the server for names, unless it was asked just now. Without a login,
// or when it does not answer at once, there are none.
func (c *completing) names(ctx context.Context, path, list, field string) []string {
	flags := clientFlags{Server: c.server}
	if flags.Server == "" {
		flags.Server = os.Getenv("CRONIUM_SERVER")
	}
	api, err := flags.client()
	if err != nil {
		return nil
	}
	kept := namesFile(api, path)
	if names, err := readNames(kept); err == nil {
		return names
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	entries, err := client.List[map[string]any](ctx, api, path, list, nil, 200)
	if err != nil {
		return nil
	}
	names := []string{}
	for _, e := range entries {
		if name, ok := e[field].(string); ok {
			names = append(names, name)
		}
	}
	keepNames(kept, names)
	return names
}

// namesFile is where names are kept: another file for each server and token.
func namesFile(api *client.Client, path string) string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	sum := sha256.Sum256([]byte(api.Address + "\n" + api.Token + "\n" + path))
	return filepath.Join(dir, "cronium", "names-"+hex.EncodeToString(sum[:8])+".json")
}

func readNames(file string) ([]string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if age := time.Since(info.ModTime()); age < 0 || age > namesGood {
		return nil, fmt.Errorf("the names are %s old", age)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var names []string
	return names, json.Unmarshal(raw, &names)
}

// keepNames keeps names for the next completion, if it can.
func keepNames(file string, names []string) {
	raw, err := json.Marshal(names)
	if err != nil || file == "" || os.MkdirAll(filepath.Dir(file), 0o700) != nil {
		return
	}
	_ = writeWhole(file, raw)
}
