package auth_test

import (
	"strings"
	"sync"
	"testing"

	"cronium.dev/cronium"
)

func TestFirstRunMakesTheAdministratorOnce(t *testing.T) {
	t.Parallel()
	service, s := newService(t)
	code, needed, err := service.FirstRunCode(t.Context())
	if err != nil || !needed || len(strings.ReplaceAll(code, "-", "")) < 24 {
		t.Fatalf("code %q, needed %v, %v", code, needed, err)
	}
	typed := " " + strings.ToUpper(strings.ReplaceAll(code, "-", " ")) + "\n"
	user, err := service.MakeFirstAdmin(t.Context(), typed, "Mira", "Mira@Example.com", password, home)
	if err != nil || !user.InstanceAdmin || user.Email != "mira@example.com" {
		t.Fatalf("got %+v, %v", user, err)
	}
	workspace, err := s.WorkspaceBySlug(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := s.Person(t.Context(), workspace.ID, user.ID); err != nil || p.Role != cronium.RoleAdmin {
		t.Errorf("person %+v, %v", p, err)
	}
	_, err = service.MakeFirstAdmin(t.Context(), code, "Eve", "eve@example.com", password, home)
	wantCode(t, err, cronium.CodeNotFound)
	if code, needed, err := service.FirstRunCode(t.Context()); code != "" || needed || err != nil {
		t.Errorf("afterwards: code %q, needed %v, %v", code, needed, err)
	}
}

func TestOfTwoFirstRunsAtOnceOneWins(t *testing.T) {
	t.Parallel()
	service, s := newService(t)
	var all sync.WaitGroup
	errs, codes := make([]error, 6), make([]string, 6)
	for i := range codes { // each server process has its own
		var err error
		if codes[i], _, err = service.FirstRunCode(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i, code := range codes {
		all.Go(func() {
			_, errs[i] = service.MakeFirstAdmin(t.Context(), code, "Mira", string(rune('a'+i))+"@example.com", password, home)
		})
	}
	for range 2 { // a process that starts in the middle is not hindered
		if _, _, err := service.FirstRunCode(t.Context()); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantCode(t, err, cronium.CodeNotFound)
		}
	}
	var people, workspaces int
	if err := s.WorkerPool().QueryRow(t.Context(), `SELECT (SELECT count(*) FROM memberships), (SELECT count(*) FROM workspaces)`).Scan(&people, &workspaces); err != nil {
		t.Fatal(err)
	}
	if won != 1 || people != 1 || workspaces != 1 {
		t.Errorf("%d won; %d people in %d workspaces", won, people, workspaces)
	}
}

func TestFirstRunNeedsTheCode(t *testing.T) {
	t.Parallel()
	service, _ := newService(t)
	if _, _, err := service.FirstRunCode(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 22 {
		_, err := service.MakeFirstAdmin(t.Context(), "0000-0000-0000-0000-0000-0000", "Mira", "mira@example.com", password, home)
		want := cronium.CodeInvalid
		if i >= 20 {
			want = cronium.CodeLimited
		}
		wantCode(t, err, want)
	}
}

func TestTheCodeIsKeptAsAHash(t *testing.T) {
	t.Parallel()
	service, s := newService(t)
	code, _, err := service.FirstRunCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var stored string
	if err := s.Pool().QueryRow(t.Context(), `SELECT string_agg(value::text, ' ') FROM settings`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stored, code) || strings.Contains(stored, strings.ReplaceAll(code, "-", "")) || !strings.Contains(stored, "hashes") {
		t.Errorf("settings hold %s", stored)
	}
}
