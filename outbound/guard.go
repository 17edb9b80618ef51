package outbound

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// connectTimeout bounds one attempt to connect.
const connectTimeout = 10 * time.Second

// Guard says which addresses may be reached: those of the internet, and what
// its lists open. The zero value opens nothing else.
type Guard struct {
	// Allow are ranges beside the internet that may be reached. One that is wider
	// than the reserved range that it touches opens nothing of it: 0.0.0.0/0 does
	// not reach 10.0.0.1, and 169.0.0.0/8 no metadata service.
	Allow []netip.Prefix
	// AllowHosts are names that may have an address of a private network
	// ("wiki.example"; "*.corp.example" are all names below). Never a loopback or
	// link-local one, because whoever answers for the name chooses the address.
	AllowHosts []string
	// Resolver finds addresses of names; nil is the system's.
	Resolver *net.Resolver
}

// Refused is the error of a connection that a Guard has not let out.
type Refused struct {
	Host    string     // as it was asked for
	Address netip.Addr // what it was resolved to
}

func (e *Refused) Error() string {
	where := e.Address.String()
	if e.Host != where {
		where = e.Host + " (" + where + ")"
	}
	return where + " is not on the internet, so it was not reached. An administrator of the workspace can add it to the allow list for outgoing requests."
}

// Check reports as *Refused that an address may not be reached. Host is the name
// that led to it, or the address itself.
func (g *Guard) Check(host string, address netip.Addr) error {
	if Public(address) {
		return nil
	}
	inner := plain(address)
	if inner.IsValid() {
		around, known := rangeOf(inner)
		opened := slices.ContainsFunc(g.Allow, func(p netip.Prefix) bool {
			return known && p.Contains(inner) && p.Bits() >= around.Bits()
		})
		if opened || within(private, inner) && g.names(host) {
			return nil
		}
	}
	return &Refused{Host: host, Address: address}
}

// names reports whether the list of names has this one.
func (g *Guard) names(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc(g.AllowHosts, func(name string) bool {
		if below, ok := strings.CutPrefix(name, "*"); ok {
			return strings.HasSuffix(host, below) && len(host) > len(below)
		}
		return host == name
	})
}

// Dial connects by TCP to "host:port" if the address that it resolves to, which
// is then the one that is connected to, may be reached. The error is a *Refused
// or the network's.
func (g *Guard) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("connect to %q: %w", address, err)
	}
	dialer := net.Dialer{
		Timeout:  connectTimeout,
		Resolver: g.Resolver,
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			if network != "tcp4" && network != "tcp6" {
				return fmt.Errorf("%s is not let out", network)
			}
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("read address %q: %w", address, err)
			}
			return g.Check(host, to.Addr())
		},
	}
	return dialer.DialContext(ctx, network, address)
}
