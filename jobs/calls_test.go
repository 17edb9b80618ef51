package jobs

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// counter is a Caller with one method, which counts a variable up; after that it
// may hold the answer back.
type counter struct {
	store *store.Store
	done  chan struct{} // one for each change
	mu    sync.Mutex
	hold  bool // answers are not given until the server is gone
}

func (c *counter) Call(ctx context.Context, of CallOf, _ string, _ json.RawMessage) (json.RawMessage, error) {
	user := store.VariableUser{WorkspaceID: of.WorkspaceID, EventID: of.EventID, EventName: of.EventName, JobID: of.JobID, ExecutionID: of.ExecutionID, Number: of.Number}
	answer, err := c.store.StepVariable(ctx, user, "count", func(old *cronium.WorkspaceVariable) (store.VariableStep, error) {
		n := 0
		if old != nil {
			if err := json.Unmarshal(old.Value, &n); err != nil {
				return store.VariableStep{}, err
			}
		}
		value, err := json.Marshal(n + 1)
		return store.VariableStep{Set: &cronium.WorkspaceVariable{Type: cronium.VariableNumber, Value: value, Size: len(value)}, Answer: n + 1}, err
	})
	c.mu.Lock()
	hold := c.hold
	c.mu.Unlock()
	c.done <- struct{}{}
	if hold {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return answer, err
}

// The server dies after it has stored a change and before the script has the
// answer: another answers the call, and the change is there once.
func TestACallWhoseAnswerIsLostHasItsEffectOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := &counter{store: s.store, done: make(chan struct{}, 100), hold: true}
	s.calls = c
	p := s.start(0)
	job := s.run(p, s.event(cronium.EventBash, `for i in 1 2 3; do echo "is $(cronium call count.up)"; done`, nil), "")
	<-c.done // stored
	p.crash()
	c.mu.Lock()
	c.hold = false
	c.mu.Unlock()
	s.start(0)
	row := s.final(job.ID)
	if row.Result != cronium.ResultSuccess {
		t.Fatalf("%+v", row.Job)
	}
	if got := s.output(s.executions(job.ID)[0].ID); got != "is 1\nis 2\nis 3\n" {
		t.Errorf("the script got %q", got)
	}
	v, err := s.store.VariableFor(t.Context(), store.VariableUser{WorkspaceID: s.workspace, EventID: job.EventID}, "count")
	if err != nil || string(v.Value) != "3" {
		t.Errorf("it counts %s, %v", v.Value, err)
	}
	if err := s.store.ForgetAnswers(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := s.store.WorkerPool().QueryRow(t.Context(), `SELECT count(*) FROM helper_calls`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d answers are kept after the end, %v", left, err)
	}
}

// What the server did not do tells the script why, with a status.
func TestARefusedCallSaysWhy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	job := s.run(p, s.event(cronium.EventPython, `
import cronium
try:
    cronium.call("count.up", {})
except cronium.CroniumAPIError as e:
    print(e.status_code, e)
`, nil), "")
	s.final(job.ID)
	if got := s.output(s.executions(job.ID)[0].ID); !strings.HasPrefix(got, "404 ") || !strings.Contains(got, "count.up") {
		t.Errorf("the script got %q", got)
	}
}
