// Package inventory reads what people already have of their machines, the text of
// an SSH configuration or of an Ansible inventory (INI or YAML), into servers to
// be. It knows no input or output: files that the text names are not read.
//
//	plan, err := inventory.SSHConfig(text)
//	plan, err := inventory.Ansible(text)
//
// Each host says what was not taken over, and each line that becomes nothing says
// why, so that a preview hides nothing. Values of passwords are never taken.
// docs/servers.md says what becomes of what.
package inventory

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"cronium.dev/cronium"
)

// Bounds of one import.
const (
	MaxText  = 1 << 20 // bytes
	MaxHosts = 2000
)

// Host is a server to be.
type Host struct {
	Line        int // where it is named first
	Name        string
	Address     string
	Port        int    // 0 = not said
	User        string // "" = not said
	Environment string
	Tags        map[string]string
	Jumps       []string // names of other hosts or servers, the first one first
	Notes       []string // what was not taken over
	Problems    []string // why it cannot be a server
}

// Note is what is said of a line that becomes nothing.
type Note struct {
	Line int
	Text string
}

// Plan is what becomes of a text.
type Plan struct {
	Hosts   []Host
	Ignored []Note
}

func (p *Plan) ignore(line int, format string, args ...any) {
	if len(p.Ignored) < 200 {
		p.Ignored = append(p.Ignored, Note{line, fmt.Sprintf(format, args...)})
	}
}

func (h *Host) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); len(h.Notes) < 10 {
		h.Notes = append(h.Notes, text)
	}
}

func (h *Host) problem(format string, args ...any) {
	if len(h.Problems) < 10 {
		h.Problems = append(h.Problems, fmt.Sprintf(format, args...))
	}
}

// check refuses a text that is too large or no text.
func check(text string) error {
	if len(text) > MaxText {
		return cronium.Errorf(cronium.CodeInvalid, "The text is larger than 1 MiB. Import it in parts.")
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return cronium.Errorf(cronium.CodeInvalid, "This is not text in UTF-8.")
	}
	return nil
}

func tooMany() error {
	return cronium.Errorf(cronium.CodeInvalid, "There are more than 2,000 hosts. Import them in parts.")
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// nameFor makes a server's name of what a text calls a host.
func (h *Host) nameFor(called string) {
	h.Name = strings.TrimLeft(notInName.ReplaceAllString(called, "-"), "._-")
	if len(h.Name) > 63 {
		h.Name = h.Name[:63]
	}
	if h.Name != called {
		h.note("It is called %q there, which is no name for a server.", clip(called))
	}
}

// setPort reads a port.
func (h *Host) setPort(text string) {
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		h.problem("Its port %q is no number between 1 and 65,535.", clip(text))
		return
	}
	h.Port = port
}

// jump is one machine of a list like ProxyJump's: [user@]host[:port].
type jump struct{ host, user, port string }

// parseJumps reads a list like ProxyJump's. "none" is an empty one.
func parseJumps(list string) (jumps []jump) {
	for part := range strings.SplitSeq(list, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "ssh://")
		if part == "" || strings.EqualFold(part, "none") {
			continue
		}
		var j jump
		if at := strings.LastIndexByte(part, '@'); at >= 0 {
			j.user, part = part[:at], part[at+1:]
		}
		if colon := strings.LastIndexByte(part, ':'); colon >= 0 && strings.Count(part, ":") == 1 {
			part, j.port = part[:colon], part[colon+1:]
		}
		j.host = strings.Trim(part, "[]")
		jumps = append(jumps, j)
	}
	return jumps
}

// addJumps gives each host its jumps, and makes hosts of those that the text
// names as jumps alone.
func (p *Plan) addJumps(jumps map[string][]jump) {
	byName := make(map[string]bool, len(p.Hosts))
	for _, h := range p.Hosts {
		byName[strings.ToLower(h.Name)] = true
	}
	for i := range p.Hosts {
		for _, j := range jumps[p.Hosts[i].Name] {
			through := Host{Line: p.Hosts[i].Line, Address: j.host, User: j.user}
			through.nameFor(j.host)
			p.Hosts[i].Jumps = append(p.Hosts[i].Jumps, through.Name)
			if byName[strings.ToLower(through.Name)] {
				if j.user != "" || j.port != "" {
					p.Hosts[i].note("User and port of its jump host %s are those of that host here.", through.Name)
				}
				continue
			}
			if j.port != "" {
				through.setPort(j.port)
			}
			through.note("Named as a jump host of %s.", p.Hosts[i].Name)
			byName[strings.ToLower(through.Name)] = true
			p.Hosts = append(p.Hosts, through)
		}
	}
}

// Redacted is a text whose values of passwords and the like are taken out, to be
// shown again.
func Redacted(text string) string {
	return secretValue.ReplaceAllString(text, "${1}…")
}

var (
	secretValue = regexp.MustCompile(`(?i)([\w-]*(?:pass|secret|token|vault)[\w-]*["']?[ \t]*[=:][ \t]*)("[^"\n]*"|'[^'\n]*'|[^\s#]+)`)
	secretKey   = regexp.MustCompile(`(?i)pass|secret|token|vault|private|api_?key`)
)

// clip bounds what a note repeats of the text.
func clip(s string) string {
	if runes := []rune(s); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return s
}
