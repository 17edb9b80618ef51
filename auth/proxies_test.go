package auth

import (
	"crypto/tls"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestOrigin(t *testing.T) {
	t.Parallel()
	trusted := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		proto      string
		tls        bool
		proxies    Proxies
		address    string
		secure     bool
	}{
		{name: "direct", peer: "192.0.2.1:99", address: "192.0.2.1"},
		{name: "direct over TLS", peer: "192.0.2.1:99", tls: true, address: "192.0.2.1", secure: true},
		{name: "a stranger's header", peer: "192.0.2.1:99", forwarded: []string{"1.1.1.1"}, proto: "https", proxies: trusted, address: "192.0.2.1"},
		{name: "no proxies configured", peer: "10.0.0.1:99", forwarded: []string{"1.1.1.1"}, proto: "https", address: "10.0.0.1"},
		{name: "by a proxy", peer: "10.0.0.1:99", forwarded: []string{"192.0.2.1"}, proto: "https", proxies: trusted, address: "192.0.2.1", secure: true},
		{name: "by two proxies", peer: "[::1]:99", forwarded: []string{"192.0.2.1, 10.9.9.9"}, proxies: trusted, address: "192.0.2.1"},
		{name: "forged before the proxy", peer: "10.0.0.1:99", forwarded: []string{"1.1.1.1, 192.0.2.1"}, proxies: trusted, address: "192.0.2.1"},
		{name: "forged in a header of its own", peer: "10.0.0.1:99", forwarded: []string{"1.1.1.1", "192.0.2.1"}, proxies: trusted, address: "192.0.2.1"},
		{name: "rubbish", peer: "10.0.0.1:99", forwarded: []string{"1.1.1.1, unknown"}, proxies: trusted, address: "10.0.0.1"},
		{name: "forged proto", peer: "10.0.0.1:99", proto: "https, http", proxies: trusted, address: "10.0.0.1"},
		{name: "mapped", peer: "[::ffff:10.0.0.1]:99", forwarded: []string{"::ffff:192.0.2.1"}, proxies: trusted, address: "192.0.2.1"},
		{name: "Unix socket", peer: "@", address: "0.0.0.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = c.peer
			for _, f := range c.forwarded {
				r.Header.Add("X-Forwarded-For", f)
			}
			if c.proto != "" {
				r.Header.Set("X-Forwarded-Proto", c.proto)
			}
			if c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			address, secure := c.proxies.Origin(r)
			if address.String() != c.address || secure != c.secure {
				t.Errorf("got %s %v, want %s %v", address, secure, c.address, c.secure)
			}
		})
	}
}
