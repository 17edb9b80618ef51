package main

import (
	"context"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/internal/testenv"
	"cronium.dev/store"
)

func flags(t *testing.T) peopleFlags {
	t.Helper()
	return peopleFlags{databaseFlags: databaseFlags{Data: t.TempDir(), DatabaseURL: testenv.Database(t, store.Migrate)}, Workspace: "default"}
}

func TestTheFirstPersonAtTheCommandLineIsTheAdministrator(t *testing.T) {
	t.Parallel()
	f := flags(t)
	add := userAddCommand{peopleFlags: f, Email: "mira@example.com", Role: "USER"}
	if err := add.Run(t.Context()); cronium.CodeOf(err) != cronium.CodeConflict {
		t.Errorf("as a user: %v", err)
	}
	p := open(t, &f)
	if err := p.addFirst(t.Context(), "Mira", "mira@example.com", "a long enough password"); err != nil {
		t.Fatal(err)
	}
	p = open(t, &f)
	if err := p.add(t.Context(), "Jo", "jo@example.com", "a long enough password", cronium.RoleViewer); err != nil {
		t.Fatal(err)
	}
	if err := p.add(t.Context(), "Jo", "Jo@example.com", "a long enough password", cronium.RoleViewer); cronium.CodeOf(err) != cronium.CodeConflict {
		t.Errorf("twice: %v", err)
	}
	members, _, err := p.store.People(t.Context(), p.workspace.ID, store.PeopleFilter{})
	if err != nil || len(members) != 2 || members[0].Name != "Jo" || members[1].Role != cronium.RoleAdmin {
		t.Errorf("people %+v, %v", members, err)
	}
	if _, err := p.auth.SignIn(t.Context(), "jo@example.com", "a long enough password", netip.IPv6Loopback()); err != nil {
		t.Errorf("sign in: %v", err)
	}
	if _, err := p.find(t.Context(), "nobody@example.com"); cronium.CodeOf(err) != cronium.CodeNotFound {
		t.Errorf("nobody: %v", err)
	}
	f.Workspace = "elsewhere"
	if _, err := f.people(t.Context()); cronium.CodeOf(err) != cronium.CodeNotFound {
		t.Errorf("another workspace: %v", err)
	}
}

func open(t *testing.T, f *peopleFlags) *people {
	t.Helper()
	p, err := f.people(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

func TestAPasswordIsReadFromThePipe(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{"secret words\r\n": "secret words", " with spaces ": " with spaces ", "first\nsecond\n": "first", "\n": "", "": ""} {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(write, strings.NewReader(typed)); err != nil {
			t.Fatal(err)
		}
		write.Close()
		got, err := askPassword(read, io.Discard)
		read.Close()
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
	}
}

func TestPeopleAreChangedAndRemovedAtTheCommandLine(t *testing.T) {
	t.Parallel()
	f := flags(t)
	p := open(t, &f)
	if err := p.addFirst(t.Context(), "Mira", "mira@example.com", "a long enough password"); err != nil {
		t.Fatal(err)
	}
	p = open(t, &f)
	if err := p.add(t.Context(), "Jo", "jo@example.com", "a long enough password", cronium.RoleViewer); err != nil {
		t.Fatal(err)
	}
	role := func(email, role, instance string) error {
		return (&userRoleCommand{peopleFlags: f, Email: email, Role: role, InstanceAdmin: instance}).Run(t.Context())
	}
	token := func(email, scope string) error {
		return (&tokenAddCommand{peopleFlags: f, Email: email, Name: "ci", Scope: scope, Days: 30}).Run(t.Context())
	}
	for _, step := range []struct {
		what string
		err  error
		want cronium.Code
	}{
		{"the last administrator becomes a user", role("mira@example.com", "USER", ""), cronium.CodeConflict},
		{"the only one of the instance becomes an ordinary one", role("mira@example.com", "ADMIN", "no"), cronium.CodeConflict},
		{"a viewer's admin token", token("jo@example.com", "admin"), cronium.CodeInvalid},
		{"a viewer becomes an administrator", role("Jo@Example.com", "ADMIN", ""), ""},
		{"an administrator's admin token", token("jo@example.com", "admin"), ""},
		{"a metrics token of who is not the instance's", token("jo@example.com", "metrics"), cronium.CodeInvalid},
		{"another one of the instance", role("jo@example.com", "ADMIN", "yes"), ""},
		{"their metrics token", token("jo@example.com", "metrics"), ""},
		{"somebody unknown", role("nobody@example.com", "USER", ""), cronium.CodeNotFound},
		{"removing one of two administrators", (&userRemoveCommand{f, "mira@example.com"}).Run(t.Context()), ""},
		{"removing who is gone", (&userRemoveCommand{f, "mira@example.com"}).Run(t.Context()), cronium.CodeNotFound},
		{"a token of who is gone", token("mira@example.com", "read"), cronium.CodeNotFound},
		{"adding them again", (&userAddCommand{peopleFlags: f, Email: "mira@example.com", Role: "VIEWER"}).Run(t.Context()), ""},
	} {
		if got := cronium.CodeOf(step.err); step.err == nil && step.want != "" || step.err != nil && got != step.want {
			t.Errorf("%s: %v, want %q", step.what, step.err, step.want)
		}
	}
}
