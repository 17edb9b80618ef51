package ssh

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWhoIsNotTrustedMaySendABoundedAmount(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		_, _ = io.Copy(far, endless{})
	}()
	n, err := io.Copy(io.Discard, listen(near))
	if !errors.Is(err, errFlood) || n > untrustedBytes {
		t.Errorf("%d bytes were read, then %v; want at most %d and errFlood", n, err, untrustedBytes)
	}
	near, far = net.Pipe()
	go func() {
		defer far.Close()
		_, _ = io.CopyN(far, endless{}, 2*untrustedBytes)
	}()
	l := listen(near)
	l.trust()
	if n, err := io.Copy(io.Discard, l); err != nil || n != 2*untrustedBytes {
		t.Errorf("%d bytes were read, then %v, of one that is trusted", n, err)
	}
	if l.silence() > time.Minute {
		t.Errorf("it was silent for %s", l.silence())
	}
}

// endless is a reader without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestAlgorithmsAreModern(t *testing.T) {
	t.Parallel()
	c := modern()
	for _, name := range slices.Concat(c.KeyExchanges, c.Ciphers, c.MACs, hostKeyAlgorithms()) {
		for _, weak := range []string{"sha1", "cbc", "3des", "rc4", "arcfour", "md5", "dss", "group1-"} {
			if strings.Contains(name, weak) || name == "ssh-rsa" {
				t.Errorf("%s is asked for", name)
			}
		}
	}
	if len(c.KeyExchanges) == 0 || len(c.Ciphers) == 0 || len(c.MACs) == 0 {
		t.Error("an empty list would stand for the library's own")
	}
}

func TestTheCommandMeansTheSameToEveryShell(t *testing.T) {
	t.Parallel()
	text, ok := strings.CutPrefix(command(), `exec /bin/sh -c 'eval "$1"' cronium '`)
	if !ok || !strings.HasSuffix(text, "'") {
		t.Fatalf("the command is %q", command())
	}
	if at := strings.IndexAny(strings.TrimSuffix(text, "'"), "'!\\\n\r\t"); at >= 0 {
		t.Errorf("it has %q, which shells read in different ways: …%s…", text[at], text[max(0, at-20):at+20])
	}
	if len(command()) > 8<<10 {
		t.Errorf("it is %d bytes long", len(command()))
	}
}

func TestWordsOfMachinesAreCleaned(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"sudo: a \x1b[31mpassword\x1b[0m\r\nis  needed": "sudo: a [31mpassword [0m is needed",
		"\xff\u202eevil":          "? evil",
		strings.Repeat("x", 1000): strings.Repeat("x", cleanLength) + "…",
	} {
		if got := clean(said); got != want {
			t.Errorf("%q became %q, want %q", said, got, want)
		}
	}
}
