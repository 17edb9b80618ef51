package cronium

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a server.
const (
	MaxTags  = 50
	MaxJumps = 4 // named by one server
	MaxHops  = 8 // to a server in all, itself included
)

var (
	serverName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	environment = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)
	tagKey      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$`)
	hostName    = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)
	signInName  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\$?$`)
	numberAtEnd = regexp.MustCompile(`(^|\.)([0-9]+|0[xX][0-9a-fA-F]*)\.?$`)
)

// ServerConnection is all that connecting to a server over SSH takes.
type ServerConnection struct {
	Hops []ServerHop // those to go through, the first one first; the server itself is the last
}

// ServerHop is one machine on the way to a server.
type ServerHop struct {
	Server     Server
	Credential *Credential // nil: none is stored
}

// Validate checks what a person may set of a server. Field names are those of
// the API.
func (s *Server) Validate() Problems {
	var p Problems
	p.Add(serverName.MatchString(s.Name), "name", "must be 1 to 63 letters, digits, dots, underscores or hyphens, beginning with a letter or digit")
	p.Add(utf8.RuneCountInString(s.Description) <= 2000 && utf8.ValidString(s.Description) && !strings.ContainsRune(s.Description, 0),
		"description", "must have at most 2,000 characters")
	p.Add(s.Environment == "" || environment.MatchString(s.Environment), "environment", "must be a word like prod or staging, of at most 40 characters")
	p.Add(len(s.Tags) <= MaxTags, "tags", "must be at most %d", MaxTags)
	for key, value := range s.Tags {
		p.Add(tagKey.MatchString(key), "tags", "must have keys of letters, digits and . _ / -, like role; %q is none", clip(key))
		p.Add(utf8.RuneCountInString(value) <= 100 && printable(value) && !strings.Contains(value, `"`), "tags",
			"must have values of at most 100 printable characters without double quotes; that of %q is none", clip(key))
	}
	if s.Kind == ServerSSH {
		s.validateWay(&p)
	}
	return p
}

// validateWay checks how an SSH server is reached.
func (s *Server) validateWay(p *Problems) {
	p.Add(validAddress(s.Address), "address", "must be a host name or an IP address, like db-1.example.com or 10.0.0.7")
	p.Add(!metadataAddress(s.Address), "address", "must not be a cloud's metadata address, which gives keys to whoever asks")
	p.Add(s.Port >= 1 && s.Port <= 65535, "port", "must be between 1 and 65,535")
	p.Add(signInName.MatchString(s.Login), "user", "must be the name of a user there, like deploy")
	p.Add(len(s.Jumps) <= MaxJumps, "jumps", "must be at most %d servers", MaxJumps)
	for i, jump := range s.Jumps {
		p.Add(jump != s.ID && !slices.Contains(s.Jumps[:i], jump), "jumps", "must be other servers, each once")
	}
}

// validAddress tells whether a is a name that DNS could have, or an IP address in
// its usual form. Numbers that some resolvers take for one ("2130706433",
// "0x7f.1") are not.
func validAddress(a string) bool {
	if ip, err := netip.ParseAddr(a); err == nil {
		return ip.IsValid() && !ip.IsUnspecified() && !ip.IsMulticast()
	}
	return len(a) <= 253 && hostName.MatchString(a) && !numberAtEnd.MatchString(a)
}

func metadataAddress(a string) bool {
	ip, err := netip.ParseAddr(a)
	return err == nil && MetadataAddress(ip)
}

// MetadataAddress tells whether a cloud answers there to whoever runs on its
// machines. Nothing connects to it, whatever a name resolves to.
func MetadataAddress(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.IsLinkLocalUnicast() || ip == netip.AddrFrom4([4]byte{100, 100, 100, 200})
	}
	return ip == netip.MustParseAddr("fd00:ec2::254") || ip == netip.MustParseAddr("fd20:ce::254")
}

// ParseTags reads tags as a person writes them: "role=web, rack=12", separated by
// commas, spaces or lines; a value with those is put in double quotes.
func ParseTags(text string) (map[string]string, error) {
	tags := map[string]string{}
	for rest := strings.TrimLeft(text, ", \t\r\n"); rest != ""; rest = strings.TrimLeft(rest, ", \t\r\n") {
		key, after, found := strings.Cut(rest, "=")
		if !found || strings.ContainsAny(key, ", \t\r\n") {
			word, _, _ := strings.Cut(strings.Fields(rest)[0], ",")
			return nil, fmt.Errorf("must be pairs like role=web, separated by commas; %q is none", clip(word))
		}
		if _, twice := tags[key]; twice {
			return nil, fmt.Errorf("name %q twice", clip(key))
		}
		var value string
		if quoted, ok := strings.CutPrefix(after, `"`); ok {
			if value, rest, ok = strings.Cut(quoted, `"`); !ok {
				return nil, fmt.Errorf("have no second quote after %s=", clip(key))
			}
		} else if end := strings.IndexAny(after, ", \t\r\n"); end >= 0 {
			value, rest = after[:end], after[end:]
		} else {
			value, rest = after, ""
		}
		tags[key] = value
	}
	return tags, nil
}

// FormatTags is what ParseTags reads, in the order of keys.
func FormatTags(tags map[string]string) string {
	var parts []string
	for key, value := range tags {
		if strings.ContainsAny(value, ", \t") || strings.HasPrefix(value, `"`) {
			value = `"` + value + `"`
		}
		parts = append(parts, key+"="+value)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// clip bounds what a message repeats of an input.
func clip(s string) string {
	if runes := []rune(s); len(runes) > 40 {
		return string(runes[:40]) + "…"
	}
	return s
}
