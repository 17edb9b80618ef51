package inventory

import (
	"path"
	"strings"
)

// sshBlock is what stands under one Host line; the first has no patterns and is
// for all.
type sshBlock struct {
	line     int
	patterns []string
	options  []sshOption
	unknown  bool // a Match, whose conditions cannot be known here
}

type sshOption struct {
	line       int
	key, value string // key in lower case
}

// SSHConfig reads the text of an OpenSSH client's configuration (ssh_config(5)):
// one server for each name of its Host lines that has no wildcard. As there, the
// first value that fits a host counts.
func SSHConfig(text string) (*Plan, error) {
	if err := check(text); err != nil {
		return nil, err
	}
	plan := &Plan{}
	blocks := sshBlocks(text, plan)
	jumps := map[string][]jump{}
	seen := map[string]bool{}
	for _, b := range blocks {
		for _, alias := range b.patterns {
			if strings.ContainsAny(alias, "*?!") || seen[alias] {
				continue
			}
			seen[alias] = true
			h := Host{Line: b.line, Address: alias}
			h.nameFor(alias)
			h.applySSH(alias, blocks, jumps)
			if plan.Hosts = append(plan.Hosts, h); len(plan.Hosts) > MaxHosts {
				return nil, tooMany()
			}
		}
	}
	plan.addJumps(jumps)
	return plan, nil
}

func sshBlocks(text string, plan *Plan) []sshBlock {
	blocks := []sshBlock{{patterns: nil}}
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		key, value := sshLine(line)
		switch key {
		case "":
			if value != "" {
				plan.ignore(number, "“%s” is no option with a value.", clip(value))
			}
		case "host":
			blocks = append(blocks, sshBlock{line: number, patterns: sshWords(value)})
		case "match":
			all := strings.EqualFold(strings.TrimSpace(value), "all")
			if !all {
				plan.ignore(number, "Match has conditions that are known on your machine alone; what is under it is left out.")
			}
			blocks = append(blocks, sshBlock{line: number, unknown: !all, patterns: []string{"*"}})
		case "include":
			plan.ignore(number, "Include %s: files are not read. Paste what is in them too.", clip(value))
		default:
			last := &blocks[len(blocks)-1]
			last.options = append(last.options, sshOption{number, key, value})
		}
	}
	return blocks
}

// sshLine splits "Key value", "Key=value" and "Key = value". A line without a
// value gives its text as the value.
func sshLine(line string) (key, value string) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", ""
	}
	end := strings.IndexAny(line, " \t=")
	if end <= 0 {
		return "", line
	}
	key, value = strings.ToLower(line[:end]), strings.TrimLeft(line[end:], " \t")
	value = strings.TrimSpace(strings.TrimPrefix(value, "="))
	if value == "" {
		return "", line
	}
	return key, value
}

// sshWords splits at spaces; quotes hold a word together.
func sshWords(text string) (words []string) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimLeft(text, " \t") {
		var word string
		if text[0] == '#' {
			break
		}
		if text[0] == '"' {
			word, text, _ = strings.Cut(text[1:], `"`)
		} else if end := strings.IndexAny(text, " \t"); end >= 0 {
			word, text = text[:end], text[end:]
		} else {
			word, text = text, ""
		}
		words = append(words, word)
	}
	return words
}

// fits tells whether a block is for the alias.
func (b *sshBlock) fits(alias string) bool {
	if b.unknown {
		return false
	}
	if b.patterns == nil {
		return true
	}
	fits := false
	for _, pattern := range b.patterns {
		pattern, negated := strings.CutPrefix(pattern, "!")
		// path.Match knows * and ?; names have no slashes. [ is a character there.
		ok, err := path.Match(strings.ReplaceAll(strings.ToLower(pattern), "[", `\[`), strings.ToLower(alias))
		if err != nil || !ok {
			continue
		}
		if negated {
			return false
		}
		fits = true
	}
	return fits
}

func (h *Host) applySSH(alias string, blocks []sshBlock, jumps map[string][]jump) {
	set := map[string]bool{}
	for i := range blocks {
		if !blocks[i].fits(alias) {
			continue
		}
		for _, o := range blocks[i].options {
			if set[o.key] {
				continue
			}
			set[o.key] = true
			h.applySSHOption(alias, o, jumps)
		}
	}
}

func (h *Host) applySSHOption(alias string, o sshOption, jumps map[string][]jump) {
	value := o.value
	if words := sshWords(o.value); len(words) > 0 {
		value = words[0]
	}
	switch o.key {
	case "hostname":
		h.Address = strings.NewReplacer("%h", alias, "%%", "%").Replace(value)
	case "user":
		h.User = value
	case "port":
		h.setPort(value)
	case "proxyjump":
		jumps[h.Name] = parseJumps(value)
	case "proxycommand":
		if !strings.EqualFold(value, "none") {
			h.problem("It is reached by a program (ProxyCommand, line %d). Cronium runs none: use jump hosts.", o.line)
		}
	case "identityfile":
		h.note("Its key is in %s on your machine: paste it below.", clip(value))
	case "certificatefile", "pkcs11provider", "identityagent":
		h.note("%s (line %d) is not known here.", o.key, o.line)
	}
}
