package auth

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks whose word about a request's origin is taken.
type Proxies []netip.Prefix

// Origin tells from which address r came and whether its sender spoke TLS.
// X-Forwarded-For and X-Forwarded-Proto count only when the peer is one of the
// proxies; the address is then the last one that is not a proxy's.
func (p Proxies) Origin(r *http.Request) (address netip.Addr, secure bool) {
	secure = r.TLS != nil
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv4Unspecified(), secure // a Unix socket, or a test
	}
	address = peer.Addr().Unmap()
	if !p.trust(address) {
		return address, secure
	}
	proto := r.Header.Values("X-Forwarded-Proto")
	if len(proto) > 0 {
		list := proto[len(proto)-1]
		secure = strings.EqualFold(strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:]), "https")
	}
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(chain) {
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		address = next.Unmap()
		if !p.trust(address) {
			break
		}
	}
	return address, secure
}

func (p Proxies) trust(address netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(address) })
}
