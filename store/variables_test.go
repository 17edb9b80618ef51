package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"cronium.dev/cronium"
)

// plain makes a variable that is no secret.
func plain(t *testing.T, s *Store, workspace cronium.ID, key, environment, value string, events ...cronium.ID) *cronium.WorkspaceVariable {
	t.Helper()
	v := &cronium.WorkspaceVariable{ID: cronium.NewID(), WorkspaceID: workspace, Key: key, Environment: environment, Type: cronium.TypeOf(json.RawMessage(value)),
		Value: json.RawMessage(value), Size: len(value), AllEvents: len(events) == 0, UpdatedBy: "ann"}
	if err := s.CreateVariable(t.Context(), v, events); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAVariableHasAHistory(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s, workspace := f.Store, f.workspace
	v := plain(t, s, workspace, "LIMIT", "", "1")
	for n := range keptChanges + 5 {
		v.Value = json.RawMessage(fmt.Sprint(n))
		if err := s.ChangeVariable(t.Context(), v, nil, "value"); err != nil {
			t.Fatal(err)
		}
	}
	changes, err := s.VariableHistory(t.Context(), workspace, v.ID)
	if err != nil || len(changes) != keptChanges || changes[0].Version != v.Version || string(changes[0].Value) != fmt.Sprint(keptChanges+4) || changes[0].By != "ann" {
		t.Errorf("%d changes, the newest %+v, %v", len(changes), changes[0], err)
	}
	old := *v
	old.Version--
	if err := s.ChangeVariable(t.Context(), &old, nil, "value"); cronium.CodeOf(err) != cronium.CodeConflict {
		t.Errorf("an older version was changed: %v", err)
	}
	if err := s.CreateVariable(t.Context(), &cronium.WorkspaceVariable{ID: cronium.NewID(), WorkspaceID: workspace, Key: "LIMIT", Type: "NUMBER", Value: json.RawMessage("1"), AllEvents: true}, nil); cronium.CodeOf(err) != cronium.CodeConflict {
		t.Errorf("there are two of a name: %v", err)
	}
}

func TestVariablesAreListedAndFiltered(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s, workspace, event := f.Store, f.workspace, f.event
	plain(t, s, workspace, "b", "", `"text"`)
	plain(t, s, workspace, "b", "prod", `"`+strings.Repeat("long", 100)+`"`)
	plain(t, s, workspace, "a", "", `2`, event)
	plain(t, s, workspace, "c", "staging", `true`)
	keys := func(filter VariableFilter) string {
		t.Helper()
		rows, err := s.Variables(t.Context(), workspace, filter)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range rows {
			names = append(names, r.Key+"/"+r.Environment)
		}
		return strings.Join(names, " ")
	}
	prod, no, yes := "prod", false, true
	for want, filter := range map[string]VariableFilter{
		"a/ b/ b/prod c/staging":  {},
		"c/staging a/ b/prod b/":  {Sort: SortChanged},
		"b/prod":                  {Environment: &prod},
		"a/":                      {Type: cronium.VariableNumber},
		"b/ b/prod":               {Query: "B"},
		"":                        {Secret: &yes},
		"a/ b/":                   {Secret: &no, Limit: 2},
		"b/prod c/staging":        {After: &VariableCursor{Key: "b"}},
		"a/ b/ b/prod c/staging ": {Event: event},
		"b/ b/prod c/staging":     {Event: cronium.NewID()},
	} {
		if got := keys(filter); got != strings.TrimSpace(want) {
			t.Errorf("%+v gives %q, want %q", filter, got, want)
		}
	}
	elsewhere := cronium.NewID()
	f.exec(t, `INSERT INTO workspaces (id, slug, name) VALUES ($1, 'elsewhere', 'w')`, elsewhere)
	if rows, err := s.Variables(t.Context(), elsewhere, VariableFilter{}); err != nil || len(rows) > 0 {
		t.Errorf("another workspace sees %d, %v", len(rows), err)
	}
}

// Granting is for events of the workspace, and ends with the event.
func TestGrantsAreForEventsOfTheWorkspace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s, workspace, mine := f.Store, f.workspace, f.event
	elsewhere, foreign := cronium.NewID(), cronium.NewID()
	f.exec(t, `INSERT INTO workspaces (id, slug, name) VALUES ($1, 'elsewhere', 'w')`, elsewhere)
	f.exec(t, `INSERT INTO events (id, workspace_id, name, type, status, version) VALUES ($1, $2, 'theirs', 'PYTHON', 'ACTIVE', 1)`, foreign, elsewhere)
	v := plain(t, s, workspace, "KEY", "", `"value"`, mine)
	v.AllEvents = false
	if err := s.ChangeVariable(t.Context(), v, []cronium.ID{mine, foreign}, "settings"); cronium.CodeOf(err) != cronium.CodeInvalid {
		t.Errorf("another workspace's event was granted it: %v", err)
	}
	if err := s.DeleteEvent(t.Context(), workspace, mine); err != nil {
		t.Fatal(err)
	}
	if events, err := s.VariableGrants(t.Context(), workspace, v.ID); err != nil || len(events) != 0 {
		t.Errorf("%+v, %v", events, err)
	}
}

func TestAVariableIsFoundWhereItIsUsed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s, workspace := f.Store, f.workspace
	content := cronium.NewContent(cronium.EventBash)
	content.Files[0].Content = "cronium get-variable API_KEY_2\nx=$(cronium get-variable\nAPI_KEY)"
	e := &cronium.Event{Name: "Uses it", Type: cronium.EventBash, Status: cronium.EventActive}
	if err := s.CreateEvent(t.Context(), workspace, e, content, "", Author{ID: cronium.NewID(), Name: "ann"}); err != nil {
		t.Fatal(err)
	}
	uses, err := s.VariableUses(t.Context(), workspace, "API_KEY")
	if err != nil || len(uses) != 1 || uses[0].EventID != e.ID || strings.Join(uses[0].Files, " ") != "script.sh:3" {
		t.Errorf("%+v, %v", uses, err)
	}
}
