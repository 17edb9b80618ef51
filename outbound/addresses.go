package outbound

import (
	"net/netip"
	"slices"
)

// reserved are the ranges of IPv4 that are not the internet, and two addresses
// of clouds that are and still answer with a machine's secrets.
var reserved = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16",
	"172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4")

// private are those that a name on an allow list opens: networks of
// organisations. Loopback and link-local addresses are opened by address alone.
var private = prefixes("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")

// global is where the internet of IPv6 is, and reserved6 what is not, in it and
// elsewhere: the ranges that an allow list may open.
var (
	global    = netip.MustParsePrefix("2000::/3")
	reserved6 = prefixes("::1/128", "2001::/23", "2001:db8::/32", "3fff::/20", "fc00::/7", "fe80::/10")
)

// Where an address of IPv6 carries one of IPv4.
var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour  = netip.MustParsePrefix("2002::/16")
	compatible = netip.MustParsePrefix("::/96")
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

// Public reports whether an address is one of the internet. An address that
// carries another (mapped, NAT64, 6to4) is what it carries.
func Public(address netip.Addr) bool {
	address = plain(address)
	if !address.IsValid() {
		return false
	}
	_, found := rangeOf(address)
	return !found && (address.Is4() || global.Contains(address))
}

// plain is the address that packets to it reach in the end.
func plain(address netip.Addr) netip.Addr {
	address = address.Unmap().WithZone("")
	if address.Is4() || !address.IsValid() {
		return address
	}
	b := address.As16()
	switch {
	case nat64.Contains(address), compatible.Contains(address) && address != netip.IPv6Loopback():
		return netip.AddrFrom4([4]byte(b[12:]))
	case sixToFour.Contains(address):
		return netip.AddrFrom4([4]byte(b[2:6]))
	case (b[8] == 0 || b[8] == 2) && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe: // ISATAP
		if inner := netip.AddrFrom4([4]byte(b[12:])); global.Contains(address) && !Public(inner) {
			return inner
		}
	}
	return address
}

// rangeOf finds the reserved range that a plain address is in.
func rangeOf(address netip.Addr) (netip.Prefix, bool) {
	list := reserved
	if address.Is6() {
		list = reserved6
	}
	i := slices.IndexFunc(list, func(p netip.Prefix) bool { return p.Contains(address) })
	if i < 0 {
		return netip.Prefix{}, false
	}
	return list[i], true
}

func within(list []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(address) })
}
