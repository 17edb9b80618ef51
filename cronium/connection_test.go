package cronium

import (
	"maps"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestAddressesThatNothingMayConnectToAreRefused(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"db-1.example.com": true, "db1.ac": true, "web_1": true, "10.0.0.7": true, "192.168.1.1": true, "::1": true, "fd00::7": true, "127.0.0.1": true, "a.b.": true,
		"": false, "-oProxyCommand=reboot": false, "a b": false, "a;b": false, "a\nb": false, "$(id)": false, "user@host": false, "host:22": false, "[::1]": false,
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "fd00:ec2::254": false, "100.100.100.200": false,
		"2852039166": false, "0xa9fea9fe": false, "0251.0376.0251.0376": false, "169.254.43518": false, "0.0.0.0": false, "224.0.0.1": false, "a..b": false,
	} {
		s := Server{Name: "a", Kind: ServerSSH, Address: address, Port: 22, Login: "root"}
		if got := len(s.Validate()) == 0; got != want {
			t.Errorf("%q is accepted: %t", address, got)
		}
	}
	for _, usual := range []string{"10.0.0.7", "fe80::1%eth0", "fd00::1"} {
		if MetadataAddress(netip.MustParseAddr(usual)) {
			t.Errorf("%s is taken for a cloud's", usual)
		}
	}
}

func TestWhatIsNoServerIsRefused(t *testing.T) {
	t.Parallel()
	id := NewID()
	for field, change := range map[string]func(*Server){
		"name":        func(s *Server) { s.Name = "-rf" },
		"description": func(s *Server) { s.Description = "a\x00" },
		"environment": func(s *Server) { s.Environment = "two words" },
		"tags":        func(s *Server) { s.Tags = map[string]string{"a b": ""} },
		"port":        func(s *Server) { s.Port = 0 },
		"user":        func(s *Server) { s.Login = "-oProxyCommand=x" },
		"jumps":       func(s *Server) { s.Jumps = []ID{s.ID} },
	} {
		s := Server{ID: id, Name: "a", Kind: ServerSSH, Address: "a", Port: 22, Login: "root"}
		if len(s.Validate()) != 0 {
			t.Fatal(s.Validate())
		}
		change(&s)
		if p := s.Validate(); len(p) != 1 || p[0].Field != field {
			t.Errorf("%s: %v", field, p)
		}
	}
}

func TestTagsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tags := rapid.MapOf(rapid.StringMatching(`[a-z][a-z0-9._/-]{0,8}`), rapid.StringMatching(`[ -!#-~]{0,12}`)).Draw(t, "tags")
		text := FormatTags(tags)
		got, err := ParseTags(text)
		if err != nil || !maps.Equal(got, tags) {
			t.Fatalf("%q: %v, %v", text, got, err)
		}
	})
	for _, text := range []string{"role", "role=web, x", "a b=c", "a=1 a=2", `a="b`} {
		if tags, err := ParseTags(text); err == nil {
			t.Errorf("%q is %v", text, tags)
		}
	}
	if tags, err := ParseTags(" role=web,rack=12\n gpu= "); err != nil || !maps.Equal(tags, map[string]string{"role": "web", "rack": "12", "gpu": ""}) {
		t.Error(tags, err)
	}
}
