package outbound

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const (
	maxRedirects    = 5
	maxHeaderBytes  = 64 << 10
	handshakeWithin = 10 * time.Second
)

// Client makes a client whose connections pass the guard, those of redirects as
// well. It uses no proxy of the environment and keeps no connection open, so a
// changed allow list counts at once. Timeout is for a whole request with its
// answer; the caller bounds how much of the answer it reads.
func (g *Guard) Client(timeout time.Duration) *http.Client {
	return &http.Client{Transport: g.Transport(), Timeout: timeout, CheckRedirect: checkRedirect}
}

// Transport is what Client sends by, for who needs other settings of TLS.
func (g *Guard) Transport() *http.Transport {
	return &http.Transport{
		DialContext:            g.Dial,
		DisableKeepAlives:      true,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    handshakeWithin,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// checkRedirect lets five redirects pass, none to an unencrypted address from an
// encrypted one, and takes along to another site only what says nothing of the
// sender: net/http would remove Authorization and leave X-Api-Key.
func checkRedirect(r *http.Request, via []*http.Request) error {
	first, last := via[0].URL, via[len(via)-1].URL
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if err := checkURL(r.URL); err != nil {
		return fmt.Errorf("redirect: %w", err)
	}
	if last.Scheme == "https" && r.URL.Scheme == "http" {
		return errors.New("redirect from an encrypted address to an unencrypted one")
	}
	if !strings.EqualFold(first.Host, r.URL.Host) {
		for name := range r.Header {
			switch name {
			case "Accept", "Accept-Language", "Content-Type", "User-Agent":
			default:
				r.Header.Del(name)
			}
		}
	}
	return nil
}

// ParseURL reads an address that a person wrote: http or https, with a host,
// without a name and password in it.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("this is not an address; it should be like https://example.com/path")
	}
	return u, checkURL(u)
}

func checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("an address begins with http:// or https://")
	case u.Hostname() == "":
		return errors.New("the address has no host")
	case u.User != nil:
		return errors.New("a user's name and password do not belong into an address; use a header or the authentication of the request")
	}
	return nil
}

// Parse reads the entries of an allow list: addresses (10.0.0.5), ranges
// (10.0.0.0/8), names (wiki.example) and names below one (*.corp.example). The
// error names the entry.
func Parse(entries []string) (Guard, error) {
	var g Guard
	for _, entry := range entries {
		prefix, isPrefix := parsePrefix(entry)
		name := strings.ToLower(strings.TrimSuffix(entry, "."))
		switch {
		case isPrefix:
			g.Allow = append(g.Allow, prefix)
		case isName(strings.TrimPrefix(name, "*.")):
			g.AllowHosts = append(g.AllowHosts, name)
		default:
			return Guard{}, fmt.Errorf("%q is no address, range or name; it should be like 10.0.0.5, 10.0.0.0/8, wiki.example or *.corp.example", entry)
		}
	}
	return g, nil
}

func parsePrefix(text string) (netip.Prefix, bool) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), true
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix.Masked(), err == nil && !prefix.Addr().Is4In6()
}

// isName reports whether a text is a name of a host that is no number in
// disguise: its last part has a letter.
func isName(name string) bool {
	if len(name) > 253 {
		return false
	}
	parts := strings.Split(name, ".")
	for _, part := range parts {
		if part == "" || len(part) > 63 || part[0] == '-' || part[len(part)-1] == '-' {
			return false
		}
		for _, c := range part {
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	last := parts[len(parts)-1]
	return !strings.HasPrefix(last, "0x") && strings.ContainsAny(last, "abcdefghijklmnopqrstuvwxyz")
}
