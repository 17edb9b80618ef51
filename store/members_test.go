package store

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"cronium.dev/cronium"
)

// person makes a member who has a password.
func (f *fixture) person(t *testing.T, name string, role cronium.Role) cronium.ID {
	t.Helper()
	user := &cronium.User{ID: cronium.NewID(), Email: name + "@example.com", Name: name, PasswordHash: "x"}
	if err := f.AddUser(f.ctx, f.workspace, user, role); err != nil {
		t.Fatal(err)
	}
	return user.ID
}

func (f *fixture) admins(t *testing.T) int {
	t.Helper()
	people, _, err := f.People(f.ctx, f.workspace, PeopleFilter{Role: cronium.RoleAdmin})
	if err != nil {
		t.Fatal(err)
	}
	return len(people)
}

func code(err error) cronium.Code {
	if err == nil {
		return ""
	}
	return cronium.CodeOf(err)
}

func TestTheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ann, user := f.person(t, "ann", cronium.RoleAdmin), f.person(t, "user", cronium.RoleUser)
	// Somebody who has no password yet does not count: they cannot help.
	invited := &cronium.User{ID: cronium.NewID(), Email: "new@example.com", Name: "new"}
	if _, err := f.AddPerson(f.ctx, f.workspace, ann, invited, cronium.RoleAdmin, nil); err != nil {
		t.Fatal(err)
	}
	none := cronium.ID{}
	for name, err := range map[string]error{
		"demoted by themselves":             f.SetRole(f.ctx, f.workspace, ann, ann, cronium.RoleUser),
		"demoted at the command line":       f.SetRole(f.ctx, f.workspace, none, ann, cronium.RoleUser),
		"removed at the command line":       f.RemovePerson(f.ctx, f.workspace, none, ann),
		"removed by one without a password": f.RemovePerson(f.ctx, f.workspace, invited.ID, ann),
	} {
		if code(err) != cronium.CodeConflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := f.SetRole(f.ctx, f.workspace, ann, user, cronium.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	if err := f.SetRole(f.ctx, f.workspace, ann, ann, cronium.RoleUser); err != nil {
		t.Errorf("with another one there: %v", err)
	}
	if err := f.SetRole(f.ctx, f.workspace, ann, user, cronium.RoleUser); code(err) != cronium.CodeForbidden {
		t.Errorf("somebody who is no administrator any more: %v", err)
	}
	if err := f.RemovePerson(f.ctx, f.workspace, user, user); code(err) != cronium.CodeConflict {
		t.Errorf("themselves: %v", err)
	}
}

func TestAdministratorsWhoTakeEachOtherAwayLeaveOne(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for round := range 30 {
		ids := []cronium.ID{f.person(t, strconv.Itoa(round)+"a", cronium.RoleAdmin), f.person(t, strconv.Itoa(round)+"b", cronium.RoleAdmin)}
		var all sync.WaitGroup
		for i, id := range ids {
			other := ids[1-i]
			all.Go(func() {
				var err error
				if i == round%2 {
					err = f.RemovePerson(f.ctx, f.workspace, id, other)
				} else {
					err = f.SetRole(f.ctx, f.workspace, id, other, cronium.RoleViewer)
				}
				if err != nil && code(err) != cronium.CodeForbidden && code(err) != cronium.CodeNotFound {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if left := f.admins(t); left != 1 {
			t.Fatalf("%d administrators are left", left)
		}
		f.exec(t, `UPDATE memberships SET role = 'USER' WHERE workspace_id = $1`, f.workspace)
	}
}

func TestWhoIsRemovedIsOutAtOnceAndLeavesTheirWork(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ann, bob := f.person(t, "ann", cronium.RoleAdmin), f.person(t, "bob", cronium.RoleUser)
	token := &cronium.Token{ID: cronium.NewID(), WorkspaceID: f.workspace, UserID: bob, Name: "ci", Scope: cronium.ScopeRead}
	if err := f.CreateToken(f.ctx, token, []byte("token")); err != nil {
		t.Fatal(err)
	}
	session := &cronium.Session{ID: cronium.NewID(), UserID: bob, WorkspaceID: f.workspace}
	if err := f.BeginSession(f.ctx, session, []byte("session"), 0, time.Hour); err != nil {
		t.Fatal(err)
	}
	before, err := f.Person(f.ctx, f.workspace, bob)
	if err != nil || before.Sessions != 1 || before.Tokens != 1 || before.SeenAt == nil {
		t.Fatalf("before: %+v, %v", before, err)
	}
	if err := f.RemovePerson(f.ctx, f.workspace, ann, bob); err != nil {
		t.Fatal(err)
	}
	// Somebody who is added again does not get back what ended.
	for _, again := range []bool{false, true} {
		if again {
			if _, err := f.AddPerson(f.ctx, f.workspace, ann, &cronium.User{ID: cronium.NewID(), Email: "bob@example.com", Name: "Robert"}, cronium.RoleViewer, nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.TokenPrincipal(f.ctx, []byte("token")); code(err) != cronium.CodeNotFound {
			t.Errorf("token (added again: %v): %v", again, err)
		}
		if _, err := f.SessionPrincipal(f.ctx, []byte("session")); code(err) != cronium.CodeNotFound {
			t.Errorf("session (added again: %v): %v", again, err)
		}
	}
	after, err := f.Person(f.ctx, f.workspace, bob)
	if err != nil || after.Name != "bob" || !after.HasPassword {
		t.Errorf("the account that was there did not come back as it was: %+v, %v", after, err)
	}
}

func TestAnAdministratorCannotReachBeyondTheirWorkspace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	root, ann, bob := f.person(t, "root", cronium.RoleAdmin), f.person(t, "ann", cronium.RoleAdmin), f.person(t, "bob", cronium.RoleUser)
	f.exec(t, `UPDATE users SET instance_admin = true WHERE id = $1`, root)
	other := &cronium.Workspace{ID: cronium.NewID(), Slug: "other", Name: "Other"}
	if err := f.AddWorkspace(f.ctx, other); err != nil {
		t.Fatal(err)
	}
	if _, err := f.AddPerson(f.ctx, other.ID, cronium.ID{}, &cronium.User{Email: "bob@example.com"}, cronium.RoleAdmin, nil); err != nil {
		t.Fatal(err)
	}
	link := &cronium.PasswordLink{Hash: []byte("h"), CreatedBy: "ann", ExpiresAt: time.Now().Add(time.Hour)}
	for name, err := range map[string]error{
		"a link for the instance's administrator": f.PutPasswordLink(f.ctx, f.workspace, ann, root, link),
		"a link for a member elsewhere":           f.PutPasswordLink(f.ctx, f.workspace, ann, bob, link),
		"demoting the instance's administrator":   f.SetRole(f.ctx, f.workspace, ann, root, cronium.RoleViewer),
		"removing the instance's administrator":   f.RemovePerson(f.ctx, f.workspace, ann, root),
		"ending the sessions of the instance's":   f.EndPersonsSessions(f.ctx, f.workspace, ann, root),
		"acting as somebody from elsewhere":       f.SetRole(f.ctx, f.workspace, cronium.NewID(), bob, cronium.RoleViewer),
	} {
		if code(err) != cronium.CodeForbidden {
			t.Errorf("%s: %v", name, err)
		}
	}
	// An account that waits for its first password in another workspace.
	invited := &cronium.User{ID: cronium.NewID(), Email: "new@example.com", Name: "new"}
	if added, err := f.AddPerson(f.ctx, other.ID, cronium.ID{}, invited, cronium.RoleUser, link); err != nil || !added.Linked {
		t.Fatalf("added %+v, %v", added, err)
	}
	mine := &cronium.PasswordLink{Hash: []byte("mine"), CreatedBy: "ann", ExpiresAt: link.ExpiresAt}
	if added, err := f.AddPerson(f.ctx, f.workspace, ann, invited, cronium.RoleUser, mine); err != nil || added.Linked {
		t.Errorf("a link to an account of another workspace: %+v, %v", added, err)
	}
	if _, err := f.LinkedUser(f.ctx, link.Hash); err != nil {
		t.Errorf("their own link has ended: %v", err)
	}
	if err := f.PutPasswordLink(f.ctx, f.workspace, root, bob, mine); err != nil {
		t.Errorf("the instance's administrator: %v", err)
	}
}

func TestTheInstanceKeepsAnAdministrator(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ids := []cronium.ID{f.person(t, "a", cronium.RoleAdmin), f.person(t, "b", cronium.RoleAdmin)}
	for range 5 {
		for _, id := range ids {
			if err := f.SetInstanceAdmin(f.ctx, id, true); err != nil {
				t.Fatal(err)
			}
		}
		var all sync.WaitGroup
		for _, id := range ids {
			all.Go(func() {
				if err := f.SetInstanceAdmin(f.ctx, id, false); err != nil && code(err) != cronium.CodeConflict {
					t.Error(err)
				}
			})
		}
		all.Wait()
		var left int
		if err := f.pool.QueryRow(f.ctx, `SELECT count(*) FROM users WHERE instance_admin`).Scan(&left); err != nil || left != 1 {
			t.Fatalf("%d administrators of the instance are left, %v", left, err)
		}
	}
}

func TestPeopleAreFoundAndPaged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, name := range []string{"Cy", "ann", "Bo", "ann"} {
		user := &cronium.User{ID: cronium.NewID(), Email: cronium.NewID().String() + "@example.com", Name: name}
		if err := f.AddUser(f.ctx, f.workspace, user, cronium.RoleUser); err != nil {
			t.Fatal(err)
		}
	}
	f.person(t, "100%_sure", cronium.RoleAdmin)
	var names []string
	for filter := (PeopleFilter{Limit: 2}); ; {
		people, next, err := f.People(f.ctx, f.workspace, filter)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range people {
			names = append(names, p.Name)
		}
		if filter.After = next; next == nil {
			break
		}
	}
	if len(names) != 5 || names[1] != "ann" || names[2] != "ann" || names[3] != "Bo" {
		t.Errorf("page by page: %v", names)
	}
	for query, want := range map[string]int{"": 5, "ANN": 2, "%_s": 1, "%": 1, "sure@example": 1, "nobody": 0} {
		if people, _, err := f.People(f.ctx, f.workspace, PeopleFilter{Query: query}); err != nil || len(people) != want {
			t.Errorf("%q finds %d people, want %d; %v", query, len(people), want, err)
		}
	}
	if f.admins(t) != 1 {
		t.Error("the role does not narrow")
	}
}
