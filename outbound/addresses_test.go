package outbound_test

import (
	"net/netip"
	"testing"

	"cronium.dev/outbound"
)

func TestOnlyAddressesOfTheInternetArePublic(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.1",
		"168.63.129.16", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
		"192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "100::1", "2001:db8::1",
		"2001::1", "3fff::1", "5f00::1",
		// One that carries another is what it carries.
		"::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::7f00:1",
		"64:ff9b:1::10.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:0a00:0001::1", "2606:4700::5efe:10.0.0.1",
		"2606:4700::200:5efe:127.0.0.1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
	} {
		if outbound.Public(netip.MustParseAddr(text)) {
			t.Errorf("%s counts as an address of the internet", text)
		}
	}
	for _, text := range []string{
		"1.1.1.1", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.1.1.1", "128.0.0.1", "169.253.1.1",
		"172.15.255.255", "172.32.0.1", "192.0.1.1", "192.167.1.1", "192.169.1.1", "198.17.0.1", "198.20.0.1", "223.255.255.255",
		"2606:4700::1111", "2a00:1450:4001:81b::200e", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1", "2606:4700::5efe:1.1.1.1",
	} {
		if !outbound.Public(netip.MustParseAddr(text)) {
			t.Errorf("%s does not count as an address of the internet", text)
		}
	}
	if outbound.Public(netip.Addr{}) {
		t.Error("no address counts as one of the internet")
	}
}

func TestAllowListOpensWhatItNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		entries       []string
		host, address string
		reached       bool
	}{
		{nil, "a.example", "10.0.0.5", false},
		{[]string{"10.0.0.5"}, "a.example", "10.0.0.5", true},
		{[]string{"10.0.0.5"}, "a.example", "10.0.0.6", false},
		{[]string{"10.0.0.0/8"}, "10.9.9.9", "10.9.9.9", true},
		{[]string{"10.0.0.0/8"}, "a.example", "::ffff:10.9.9.9", true},
		{[]string{"10.0.0.0/8"}, "a.example", "192.168.0.1", false},
		{[]string{"127.0.0.1"}, "localhost", "127.0.0.1", true},
		{[]string{"127.0.0.1"}, "localhost", "127.0.0.2", false},
		{[]string{"::1"}, "localhost", "::1", true},
		{[]string{"fd00::/8"}, "a.example", "fd12::1", true},
		// What is wider than the range opens nothing of it.
		{[]string{"0.0.0.0/0", "::/0"}, "a.example", "10.0.0.5", false},
		{[]string{"0.0.0.0/0"}, "a.example", "169.254.169.254", false},
		{[]string{"169.0.0.0/8"}, "a.example", "169.254.169.254", false},
		{[]string{"::/0"}, "a.example", "::1", false},
		// Names open private networks, and never this machine or a metadata service.
		{[]string{"wiki.example"}, "wiki.example", "192.168.0.1", true},
		{[]string{"wiki.example"}, "WIKI.example.", "192.168.0.1", true},
		{[]string{"wiki.example"}, "evil.wiki.example", "192.168.0.1", false},
		{[]string{"wiki.example"}, "evilwiki.example", "192.168.0.1", false},
		{[]string{"wiki.example"}, "wiki.example", "127.0.0.1", false},
		{[]string{"wiki.example"}, "wiki.example", "169.254.169.254", false},
		{[]string{"wiki.example"}, "wiki.example", "fe80::1", false},
		{[]string{"*.corp.example"}, "a.b.corp.example", "10.0.0.1", true},
		{[]string{"*.corp.example"}, "corp.example", "10.0.0.1", false},
		{[]string{"*.corp.example"}, ".corp.example", "10.0.0.1", false},
		{[]string{"*.corp.example"}, "evilcorp.example", "10.0.0.1", false},
	}
	for _, test := range tests {
		guard, err := outbound.Parse(test.entries)
		if err != nil {
			t.Fatal(err)
		}
		if err := guard.Check(test.host, netip.MustParseAddr(test.address)); (err == nil) != test.reached {
			t.Errorf("with %q, %s at %s: %v", test.entries, test.host, test.address, err)
		}
	}
}

func TestAllowListRefusesWhatItCannotMean(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{
		"", "*", "*.", "a b", "http://a.example", "a.example:80", "10.0.0.0/33", "10.0.0", "0x7f.1", "2130706433", "127.1", "-a.example",
		"a..b", "*.*.example", "fe80::1%eth0", "a.example/8", "0x7f000001", "::ffff:10.0.0.0/104",
	} {
		if _, err := outbound.Parse([]string{"1.2.3.4", entry}); err == nil {
			t.Errorf("%q was taken", entry)
		}
	}
}

func TestAddressesThatPeopleWrite(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "example.com", "//example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "http://",
		"http:///path", "http://user:word@example.com/", "https://user@example.com/", "http://exa mple.com/", "javascript:alert(1)",
	} {
		if _, err := outbound.ParseURL(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	for _, text := range []string{"http://example.com", "https://example.com:8443/a?b=c#d", "http://[2606:4700::1111]/"} {
		if _, err := outbound.ParseURL(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}
