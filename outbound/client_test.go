package outbound_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cronium.dev/outbound"
)

// secret starts a server on loopback that must not be reached, and counts who does.
func secret(t *testing.T) (address string, reached *atomic.Int32) {
	t.Helper()
	reached = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), reached
}

func TestLoopbackIsNotReachedInAnyNotation(t *testing.T) {
	t.Parallel()
	address, reached := secret(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	var guard outbound.Guard
	client := guard.Client(5 * time.Second)
	for _, host := range []string{
		"127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "017700000001", "127.0.0.1.", "0", "0.0.0.0",
		"[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
	} {
		answer, err := client.Get("http://" + host + ":" + port + "/")
		if err == nil {
			answer.Body.Close()
			t.Errorf("%s was reached", host)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("reached %d times", n)
	}
	_, err = client.Get("http://" + address + "/")
	if refused, ok := errors.AsType[*outbound.Refused](err); !ok || refused.Address != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("the error is %v", err)
	}
	if _, err := guard.Dial(t.Context(), "tcp", address); err == nil {
		t.Error("dialled")
	}
	if _, err := guard.Dial(t.Context(), "udp", "1.1.1.1:53"); err == nil {
		t.Error("dialled UDP")
	}
}

func TestRedirectsPassTheSameCheck(t *testing.T) {
	t.Parallel()
	address, reached := secret(t)
	// An allowed address that redirects to another that is not allowed.
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	var target atomic.Value
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target.Load().(string), http.StatusFound)
	}))
	t.Cleanup(outside.Close)
	guard := outbound.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	client := guard.Client(5 * time.Second)
	for _, to := range []string{"http://127.0.0.2:" + port, "http://169.254.169.254/latest/meta-data/", "http://[::1]:" + port, "file:///etc/passwd", outside.URL} {
		target.Store(to)
		answer, err := client.Get(outside.URL)
		if err == nil {
			answer.Body.Close()
			t.Errorf("a redirect to %s was followed to its end", to)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("reached %d times", n)
	}
}

func TestRedirectToAnotherSiteTakesNoSecretsAlong(t *testing.T) {
	t.Parallel()
	var got http.Header
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() }))
	t.Cleanup(other.Close)
	first := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(first.Close)
	guard := outbound.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, first.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"X-Api-Key": "canary", "Authorization": "canary", "Accept": "text/plain"} {
		r.Header.Set(name, value)
	}
	answer, err := guard.Client(5 * time.Second).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if text := fmt.Sprint(got); strings.Contains(text, "canary") || got.Get("Accept") != "text/plain" {
		t.Errorf("the other site got %s", text)
	}
}

// TestNameThatChangesItsAddress is DNS rebinding: the first answer is an address
// of the internet, each later one is loopback. Whatever is looked up when, what
// is connected to is what was checked.
func TestNameThatChangesItsAddress(t *testing.T) {
	t.Parallel()
	address, reached := secret(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	asked := &atomic.Int32{}
	names := nameServer(t, func() netip.Addr {
		if asked.Add(1) == 1 {
			return netip.MustParseAddr("198.18.0.1") // not reachable, and refused as well
		}
		return netip.MustParseAddr("127.0.0.1")
	})
	guard := outbound.Guard{AllowHosts: []string{"rebind.example"}, Resolver: names}
	client := guard.Client(5 * time.Second)
	for range 3 {
		answer, err := client.Get("http://rebind.example:" + port + "/")
		if err == nil {
			answer.Body.Close()
			t.Fatal("reached")
		}
		if _, ok := errors.AsType[*outbound.Refused](err); !ok {
			t.Errorf("the error is %v", err)
		}
	}
	if asked.Load() < 3 || reached.Load() != 0 {
		t.Errorf("asked %d times, reached %d times", asked.Load(), reached.Load())
	}
}

// nameServer answers each question for an address of IPv4 with the next one.
func nameServer(t *testing.T, next func() netip.Addr) *net.Resolver {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for packet := make([]byte, 512); ; {
			n, from, err := socket.ReadFrom(packet)
			if err != nil {
				return
			}
			_, _ = socket.WriteTo(answerName(packet[:n], next), from)
		}
	}()
	t.Cleanup(func() { socket.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", socket.LocalAddr().String())
	}}
}

// answerName makes the answer to a query of one question: its header, the
// question, and one record for a question of type A.
func answerName(query []byte, next func() netip.Addr) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5
	const typeA = 1
	isA := binary.BigEndian.Uint16(query[end-4:]) == typeA
	answer := append([]byte{}, query[:end]...)
	binary.BigEndian.PutUint16(answer[2:], 0x8180)
	for i := 6; i < 12; i++ { // no answers yet, nothing else
		answer[i] = 0
	}
	if isA {
		answer[7] = 1
		ip := next().As4()
		answer = append(answer, 0xc0, 12, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4)
		answer = append(answer, ip[:]...)
	}
	return answer
}
