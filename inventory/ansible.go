package inventory

import (
	"maps"
	"slices"
	"strings"

	"cronium.dev/cronium"
)

// tree is an Ansible inventory as it is read: hosts and groups with variables.
type tree struct {
	hosts  map[string]*node
	groups map[string]*node
	order  []string // hosts as they were named
	plan   *Plan
	work   int // done so far, see spend
}

// maxWork bounds what a text can have multiplied: ranges, and variables of groups
// for each of their hosts.
const maxWork = 1_000_000

// spend counts work, and refuses what is too much.
func (t *tree) spend(n int) error {
	if t.work += n; t.work > maxWork {
		return cronium.Errorf(cronium.CodeInvalid, "The inventory has too many hosts, groups and variables for one import. Import it in parts.")
	}
	return nil
}

// node is a host or a group.
type node struct {
	name   string
	line   int
	vars   map[string]variable
	groups []string // that it is directly in
}

type variable struct {
	line  int
	value string
}

// Ansible reads the text of an inventory, in INI or YAML: one server for each
// host, with its groups as tags without a value. Of its variables the connection
// is taken, the environment, and plain values of the host itself as tags.
func Ansible(text string) (*Plan, error) {
	if err := check(text); err != nil {
		return nil, err
	}
	t := &tree{hosts: map[string]*node{}, groups: map[string]*node{}, plan: &Plan{}}
	read := t.readINI
	if looksLikeYAML(text) {
		read = t.readYAML
	}
	if err := read(text); err != nil {
		return nil, err
	}
	jumps := map[string][]jump{}
	for _, name := range t.order {
		h, err := t.host(t.hosts[name], jumps)
		if err != nil {
			return nil, err
		}
		t.plan.Hosts = append(t.plan.Hosts, h)
	}
	t.plan.addJumps(jumps)
	return t.plan, nil
}

// looksLikeYAML goes by the first line that says something.
func looksLikeYAML(text string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		if trimmed := strings.TrimSpace(line); trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';' {
			continue
		}
		key, _, _ := strings.Cut(line, " #")
		return line == "---" || line[0] == '{' || strings.HasSuffix(strings.TrimSpace(key), ":")
	}
	return false
}

// addHost makes a host, or finds it, in a group.
func (t *tree) addHost(name, group string, line int) (*node, error) {
	if err := t.spend(1); err != nil {
		return nil, err
	}
	h, known := t.hosts[name]
	if !known {
		if len(t.order) >= MaxHosts {
			return nil, tooMany()
		}
		h = &node{name: name, line: line, vars: map[string]variable{}}
		t.hosts[name], t.order = h, append(t.order, name)
	}
	if group != "" && group != "all" && group != "ungrouped" && !slices.Contains(h.groups, group) {
		h.groups = append(h.groups, group)
	}
	return h, nil
}

func (t *tree) group(name string, line int) *node {
	g, known := t.groups[name]
	if !known {
		g = &node{name: name, line: line, vars: map[string]variable{}}
		t.groups[name] = g
	}
	return g
}

// ancestors are the groups that a node is in, the nearest first.
func (t *tree) ancestors(n *node) (all []string, err error) {
	queue := slices.Clone(n.groups)
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if err := t.spend(1 + len(all)/8); err != nil {
			return nil, err
		}
		if slices.Contains(all, name) {
			continue
		}
		all = append(all, name)
		if g := t.groups[name]; g != nil {
			queue = append(queue, g.groups...)
		}
	}
	return all, nil
}

// environments are names of groups that say the environment.
func environments() []string {
	return []string{"prod", "production", "staging", "stage", "test", "testing", "dev", "development", "qa", "demo"}
}

// host is what becomes of one host.
func (t *tree) host(n *node, jumps map[string][]jump) (Host, error) {
	h := Host{Line: n.line, Address: n.name, Tags: map[string]string{}}
	h.nameFor(n.name)
	groups, err := t.ancestors(n)
	if err != nil {
		return h, err
	}
	groups = slices.DeleteFunc(groups, func(g string) bool { return g == "all" })
	vars := map[string]variable{}
	for _, name := range append([]string{"all"}, reversed(groups)...) {
		g := t.groups[name]
		if g == nil {
			continue
		}
		if err := t.spend(len(g.vars)); err != nil {
			return h, err
		}
		maps.Copy(vars, g.vars)
	}
	maps.Copy(vars, n.vars)
	for _, g := range groups {
		h.tag(g, "")
		if h.Environment == "" && slices.Contains(environments(), strings.ToLower(g)) {
			h.Environment = g
		}
	}
	for _, key := range slices.Sorted(maps.Keys(vars)) {
		_, own := n.vars[key]
		h.applyVariable(key, vars[key], own, jumps)
	}
	return h, nil
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// tag gives the host a tag, if it could be one.
func (h *Host) tag(key, value string) {
	s := cronium.Server{Name: "a", Kind: cronium.ServerAgent, Tags: map[string]string{key: value}}
	if len(h.Tags) < cronium.MaxTags && len(s.Validate()) == 0 {
		h.Tags[key] = value
	}
}

func (h *Host) applyVariable(key string, v variable, own bool, jumps map[string][]jump) {
	if strings.Contains(v.value, "{{") {
		if strings.HasPrefix(key, "ansible_") && !secretKey.MatchString(key) {
			h.note("%s is a template (line %d) and was left out.", key, v.line)
		}
		return
	}
	switch key {
	case "ansible_host", "ansible_ssh_host":
		h.Address = v.value
	case "ansible_port", "ansible_ssh_port":
		h.setPort(v.value)
	case "ansible_user", "ansible_ssh_user":
		h.User = v.value
	case "ansible_ssh_common_args", "ansible_ssh_extra_args":
		h.applyArguments(v, jumps)
	case "ansible_ssh_private_key_file", "ansible_private_key_file":
		h.note("Its key is in %s on your machine: paste it below.", clip(v.value))
	case "ansible_connection":
		if v.value != "ssh" && v.value != "smart" && v.value != "paramiko" && v.value != "paramiko_ssh" {
			h.problem("It is reached by %q (line %d), not over SSH.", clip(v.value), v.line)
		}
	case "env", "environment":
		h.Environment = v.value
	default:
		switch {
		case secretKey.MatchString(key):
			if strings.HasPrefix(key, "ansible_") {
				h.note("%s (line %d) is not taken over: enter it below.", key, v.line)
			}
		case own && !strings.HasPrefix(key, "ansible_") && v.value != "":
			h.tag(key, v.value)
		}
	}
}

// applyArguments finds jump hosts in arguments of ssh. They are never run.
func (h *Host) applyArguments(v variable, jumps map[string][]jump) {
	words := strings.Fields(strings.NewReplacer(`"`, "", `'`, "").Replace(v.value))
	for i, word := range words {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		lower := strings.ToLower(strings.TrimPrefix(word, "-o"))
		switch {
		case word == "-J" && next != "":
			jumps[h.Name] = parseJumps(next)
		case strings.HasPrefix(word, "-J") && len(word) > 2:
			jumps[h.Name] = parseJumps(word[2:])
		case strings.HasPrefix(lower, "proxyjump="):
			jumps[h.Name] = parseJumps(word[strings.IndexByte(word, '=')+1:])
		case strings.HasPrefix(lower, "proxycommand"):
			h.problem("It is reached by a program (ProxyCommand, line %d). Cronium runs none: use jump hosts.", v.line)
		}
	}
}
