package calls

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cronium.dev/cronium"
)

func TestAVariableIsReadAndChanged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.wants("get", `{"key":"cursor"}`, "not_found")
	s.wants("exists", `{"key":"cursor"}`, `{"exists":false}`)
	s.wants("set", `{"key":"cursor","value":{"page":7,"nul":"\u0000"}}`, `{"version":1}`)
	s.wants("get", `{"key":"cursor"}`, `{"value":{"page":7,"nul":"\u0000"}}`)
	s.wants("set", `{"key":"cursor","value":null}`, `{"version":2}`)
	s.wants("get", `{"key":"cursor"}`, `{"value":null}`)
	s.wants("exists", `{"key":"cursor"}`, `{"exists":true}`)
	s.wants("list", `{"prefix":"cur"}`, `{"keys":[{"key":"cursor","secret":false,"type":"JSON"}]}`)
	s.wants("list", `{"prefix":"x"}`, `{"keys":[]}`)
	s.wants("delete", `{"key":"cursor"}`, `{"deleted":true}`)
	s.wants("delete", `{"key":"cursor"}`, `{"deleted":false}`)

	s.wants("increment", `{"key":"n"}`, `{"value":1}`)
	s.wants("increment", `{"key":"n","by":-3}`, `{"value":-2}`)
	s.wants("increment", `{"key":"n","by":0.5}`, `{"value":-1.5}`)
	s.wants("set", `{"key":"big","value":9223372036854775807}`, `{"version":1}`)
	s.wants("increment", `{"key":"big"}`, "conflict")
	s.wants("get", `{"key":"big"}`, `{"value":9223372036854775807}`)
	s.wants("set", `{"key":"text","value":"12"}`, `{"version":1}`)
	s.wants("increment", `{"key":"text","by":1}`, `{"value":13}`) // Bash has text alone
	s.wants("set", `{"key":"n","value":"42"}`, `{"version":4}`)
	s.wants("get", `{"key":"n"}`, `{"value":42}`)

	s.wants("append", `{"key":"list","value":{"a":1}}`, `{"length":1}`)
	s.wants("append", `{"key":"list","value":"b"}`, `{"length":2}`)
	s.wants("get", `{"key":"list"}`, `{"value":[{"a":1},"b"]}`)
	s.wants("append", `{"key":"log","value":"ä"}`, `{"length":1}`)
	s.wants("append", `{"key":"log","value":"b"}`, `{"length":2}`)
	s.wants("append", `{"key":"n","value":"b"}`, "conflict")
	s.wants("increment", `{"key":"log"}`, "conflict")

	s.wants("compare_and_set", `{"key":"lock","expected":null,"value":"me"}`, `{"swapped":true,"value":"me"}`)
	s.wants("compare_and_set", `{"key":"lock","expected":null,"value":"you"}`, `{"swapped":false,"value":"me"}`)
	s.wants("compare_and_set", `{"key":"lock","expected":"me","value":{"b":1,"a":2}}`, `{"swapped":true,"value":{"b":1,"a":2}}`)
	s.wants("compare_and_set", `{"key":"lock","expected":{"a":2,"b":1},"value":1}`, `{"swapped":true,"value":1}`)
}

func TestWhatIsNoCallIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for method, params := range map[string]string{
		"get": `{"key":"a b"}`, "set": `{"key":"a"}`, "exists": `{"key":""}`, "list": `[1]`, "append": `{"key":"a","value":1,"more":2}`,
		"increment": `{"key":"a","by":"x"}`, "delete": `{"key":"` + strings.Repeat("k", 129) + `"}`,
	} {
		s.wants(method, params, "invalid")
	}
	s.wants("nonsense", `{}`, "not_found")
	s.wants("set", `{"key":"long","value":"`+strings.Repeat("x", cronium.MaxValueBytes)+`"}`, "invalid")
}

// A call that comes again gets the answer of the first time and changes nothing.
func TestACallThatComesAgainChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for n := range uint64(300) { // more than are kept
		s.of.Number = n + 1
		want := fmt.Sprintf(`{"value":%d}`, n+1)
		for range 2 {
			if got := s.askAs(s.of, "increment", `{"key":"n"}`); got != want {
				t.Fatalf("call %d gives %s, want %s", n+1, got, want)
			}
		}
	}
	var kept int
	if err := s.Store.WorkerPool().QueryRow(t.Context(), `SELECT count(*) FROM helper_calls`).Scan(&kept); err != nil || kept > 200 {
		t.Errorf("%d answers are kept, %v", kept, err)
	}
	// Two processes at once work on the same call.
	of := s.execution()
	of.Number = 1
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if got := s.askAs(of, "append", `{"key":"list","value":1}`); got != `{"length":1}` {
				t.Errorf("it gives %s", got)
			}
		})
	}
	both.Wait()
	s.wants("get", `{"key":"list"}`, `{"value":[1]}`)
}

func TestAnEnvironmentsOwnVariableComesFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.wants("set", `{"key":"url","value":"all"}`, `{"version":1}`)
	s.of.Stage = "prod"
	s.wants("get", `{"key":"url"}`, `{"value":"all"}`)
	s.wants("set", `{"key":"own","value":"prod"}`, `{"version":1}`)
	s.of.Stage = "staging"
	s.wants("get", `{"key":"own"}`, "not_found")
	s.wants("set", `{"key":"own","value":"staging"}`, `{"version":1}`)
	s.of.Stage = ""
	s.wants("get", `{"key":"own"}`, "not_found")
	s.wants("set", `{"key":"own","value":"all"}`, `{"version":1}`)
	s.of.Stage = "prod"
	s.wants("get", `{"key":"own"}`, `{"value":"prod"}`)
	s.wants("list", `{}`, `{"keys":[{"key":"own","secret":false,"type":"STRING"},{"key":"url","secret":false,"type":"STRING"}]}`)
	s.wants("delete", `{"key":"own"}`, `{"deleted":true}`)
	s.wants("get", `{"key":"own"}`, `{"value":"all"}`)
}

func TestASecretIsForThoseWhoWereGrantedIt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	other := s.newEvent(cronium.EventBash, "true")
	s.secret("mine", "", `"granted-1"`, s.event)
	s.secret("theirs", "", `"granted-2"`, other)
	s.wants("get", `{"key":"mine"}`, `{"value":"granted-1"}`)
	for _, method := range []string{"get", "delete", "increment"} {
		s.wants(method, `{"key":"theirs"}`, "forbidden")
	}
	s.wants("set", `{"key":"theirs","value":"stolen"}`, "forbidden")
	s.wants("append", `{"key":"theirs","value":"stolen"}`, "forbidden")
	s.wants("compare_and_set", `{"key":"theirs","expected":null,"value":"stolen"}`, "forbidden")
	s.wants("exists", `{"key":"theirs"}`, `{"exists":false}`)
	s.wants("list", `{}`, `{"keys":[{"key":"mine","secret":true,"type":"STRING"}]}`)
	elsewhere := &cronium.Workspace{ID: cronium.NewID(), Slug: "other", Name: "Other"}
	if err := s.Store.AddWorkspace(t.Context(), elsewhere); err != nil {
		t.Fatal(err)
	}
	s.of.WorkspaceID = elsewhere.ID
	s.wants("get", `{"key":"mine"}`, "not_found")
}

// A secret stays one: sealed in the database, hidden in output from the moment at
// which the script has it, and in no answer that is kept.
func TestASecretThatAScriptChangesStaysSecret(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	v := s.secret("token", "", `"first-value"`)
	s.wants("set", `{"key":"token","value":"second-value"}`, `{"version":2}`)
	s.wants("get", `{"key":"token"}`, `{"value":"second-value"}`)
	s.wants("set", `{"key":"token","value":"abc"}`, "invalid") // too short to be masked
	s.wants("increment", `{"key":"token"}`, "conflict")
	s.wants("append", `{"key":"token","value":"x"}`, "conflict")
	s.wants("compare_and_set", `{"key":"token","expected":"wrong","value":"third-value"}`, `{"swapped":false}`)
	s.wants("compare_and_set", `{"key":"token","expected":"second-value","value":{"user":"me","password":"third-value"}}`, `{"swapped":true}`)
	if got := s.of.Hidden.Mask().Text("first-value second-value third-value"); strings.Contains(got, "value") {
		t.Errorf("shown as %q", got)
	}
	changed, err := s.Store.Variable(t.Context(), s.workspace, v.ID)
	if err != nil || !changed.Secret || changed.Version != 3 || changed.Type != cronium.VariableJSON || changed.UpdatedBy != "event nightly" {
		t.Errorf("%+v, %v", changed, err)
	}
	rows := dump(s)
	for _, value := range []string{"first-value", "second-value", "third-value"} {
		if strings.Contains(rows, value) {
			t.Errorf("%s is in the database", value)
		}
	}
}

// dump is all that the database holds, as text.
func dump(s *site) string {
	s.Helper()
	tables, err := s.Store.WorkerPool().Query(s.Context(), `SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		s.Fatal(err)
	}
	var names []string
	for tables.Next() {
		var name string
		if err := tables.Scan(&name); err != nil {
			s.Fatal(err)
		}
		names = append(names, name)
	}
	var all strings.Builder
	for _, name := range names {
		// Bytes are shown as they are, as far as they are text.
		rows, err := s.Store.WorkerPool().Query(s.Context(), `SELECT t::text FROM `+name+` t`)
		if err != nil {
			s.Fatal(err)
		}
		for rows.Next() {
			var row string
			if err := rows.Scan(&row); err != nil {
				s.Fatal(err)
			}
			all.WriteString(row + "\n")
		}
	}
	return all.String()
}

// However many scripts change a variable at the very same time, also as it is
// made, each change counts, whatever server process works on it.
func TestChangesAtTheSameTimeAllCount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	other := New(s.Config)
	s.secret("lock", "", `"nobody"`)
	var all sync.WaitGroup
	var swapped atomic.Int64
	for n := range 50 {
		of := s.execution()
		calls := []*Calls{s.Calls, other}[n%2]
		ask := func(number uint64, method, params string) string {
			of.Number = number
			answer, err := calls.Call(t.Context(), of, "variable."+method, json.RawMessage(params))
			if err != nil {
				t.Errorf("%s: %v", method, err)
			}
			return string(answer)
		}
		all.Go(func() {
			ask(1, "increment", `{"key":"count","by":2}`)
			ask(2, "append", fmt.Sprintf(`{"key":"list","value":%d}`, n))
			if ask(3, "compare_and_set", fmt.Sprintf(`{"key":"lock","expected":"nobody","value":"holder-%d"}`, n)) == `{"swapped":true}` {
				swapped.Add(1)
			}
		})
	}
	all.Wait()
	s.wants("get", `{"key":"count"}`, `{"value":100}`)
	s.wants("append", `{"key":"list","value":"last"}`, `{"length":51}`)
	if n := swapped.Load(); n != 1 {
		t.Errorf("%d scripts hold the lock", n)
	}
}
