package auth_test

import (
	"log/slog"
	"net/netip"
	"testing"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/internal/testenv"
	"cronium.dev/store"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const password = "a long enough password"

var (
	home      = netip.MustParseAddr("192.0.2.7")
	elsewhere = netip.MustParseAddr("198.51.100.9")
)

// newService gives a service on a database of its own.
func newService(t *testing.T) (*auth.Service, *store.Store) {
	t.Helper()
	s, err := store.Open(t.Context(), testenv.Database(t, store.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	service, err := auth.New(s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return service, s
}

// withPerson gives a service that knows mira@example.com.
func withPerson(t *testing.T) (*auth.Service, *store.Store) {
	t.Helper()
	service, s := newService(t)
	code, _, err := service.FirstRunCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := service.MakeFirstAdmin(t.Context(), code, "Mira", "mira@example.com", password, home); err != nil {
		t.Fatal(err)
	}
	return service, s
}

func wantCode(t *testing.T, err error, want cronium.Code) {
	t.Helper()
	if err == nil || cronium.CodeOf(err) != want {
		t.Fatalf("got error %v, want code %s", err, want)
	}
}
