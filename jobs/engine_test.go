package jobs

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

func containsLine(output, line string) bool {
	return strings.Contains("\n"+output, "\n"+line+"\n")
}

// numbered is what a script that counts prints.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

// counting prints n numbered lines with pauses in between.
func counting(n int, pause string) string {
	return fmt.Sprintf("import time\nfor i in range(%d):\n    print('line', i, flush=True)\n    time.sleep(%s)\n", n, pause)
}

func TestAScriptRunsWithItsInputAndGivesItsOutput(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(2)
	event := s.event(cronium.EventPython, `
import cronium, sys, os
print("hello", cronium.event()["name"][:5], cronium.input()["n"], os.environ["COLOR"])
print("careful", file=sys.stderr)
cronium.output({"twice": cronium.input()["n"] * 2})
cronium.set_condition(True)
`, func(c *cronium.Content) { c.Environment = []cronium.Variable{{Name: "COLOR", Value: "blue $HOME"}} })
	job := s.final(s.run(p, event, `{"n": 21}`).ID)
	if job.Status != cronium.JobCompleted || job.Result != cronium.ResultSuccess || job.Condition == nil || !*job.Condition {
		t.Fatalf("job %+v", job.Job)
	}
	var output struct{ Twice int }
	if err := json.Unmarshal(job.Output, &output); err != nil || output.Twice != 42 {
		t.Errorf("output %s, %v", job.Output, err)
	}
	execution := s.executions(job.ID)[0]
	chunks, err := s.store.Output(t.Context(), s.workspace, execution.ID, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	printed := map[cronium.Stream]string{}
	for _, c := range chunks {
		printed[c.Stream] += string(c.Data)
	}
	if printed[cronium.Stdout] != "hello event 21 blue $HOME\n" || printed[cronium.Stderr] != "careful\n" {
		t.Errorf("printed %v", printed)
	}
	if execution.Run <= 0 || execution.Setup <= 0 || execution.StartedAt == nil || execution.FinishedAt == nil || *execution.ExitCode != 0 || execution.PeakMemory <= 0 {
		t.Errorf("execution %+v", execution)
	}
}

func TestAFailureIsRetriedByThePolicy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	retry := func(codes ...int) func(*cronium.Content) {
		return func(c *cronium.Content) {
			c.Retry = cronium.Retry{Attempts: 3, InitialSeconds: 0.2, Factor: 1, ExitCodes: codes}
		}
	}
	again := s.run(p, s.event(cronium.EventBash, `[ "$(cronium event .job.attempt)" = 2 ] || exit 75`, retry(75)), "")
	once := s.run(p, s.event(cronium.EventBash, `exit 3`, retry(75)), "")
	if job := s.final(again.ID); job.Result != cronium.ResultSuccess || job.Attempts != 2 {
		t.Errorf("retried: %+v", job.Job)
	}
	if job := s.final(once.ID); job.Result != cronium.ResultFailure || job.Attempts != 1 {
		t.Errorf("not to be retried: %+v", job.Job)
	}
	if executions := s.executions(again.ID); len(executions) != 2 || *executions[0].ExitCode != 75 || executions[1].Attempt != 2 {
		t.Errorf("executions %+v", executions)
	}
}

func TestATimeoutAndACancelStopTheScript(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	slow := s.run(p, s.event(cronium.EventBash, "echo ready; sleep 600", func(c *cronium.Content) { c.Limits.TimeoutSeconds = 1 }), "")
	stopped := s.run(p, s.event(cronium.EventBash, "echo ready; sleep 600", nil), "")
	s.printed(stopped.ID, "ready")
	if err := p.Cancel(t.Context(), s.workspace, stopped.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	if job := s.final(stopped.ID); job.Result != cronium.ResultCancelled || job.CancelledBy != "bob" || job.Status != cronium.JobCancelled {
		t.Errorf("cancelled: %+v", job.Job)
	}
	if job := s.final(slow.ID); job.Result != cronium.ResultTimeout || !strings.Contains(job.Error, "1s") {
		t.Errorf("timed out: %+v", job.Job)
	}
	if err := p.Cancel(t.Context(), s.workspace, cronium.NewID(), "bob"); cronium.CodeOf(err) != cronium.CodeNotFound {
		t.Errorf("cancelling what is not there: %v", err)
	}
}

func TestAJobThatWaitsForTheContainerEngineIsCancelled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.startOn("unix://"+filepath.Join(t.TempDir(), "nobody.sock"), 0)
	job := s.run(p, s.event(cronium.EventBash, "echo never", nil), "")
	s.eventually(job.ID, "the reason why it waits", func(*store.JobRow) bool {
		executions := s.executions(job.ID)
		return len(executions) == 1 && strings.Contains(executions[0].Progress, "does not answer")
	})
	if err := p.Cancel(t.Context(), s.workspace, job.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	if job := s.final(job.ID); job.Result != cronium.ResultCancelled {
		t.Errorf("cancelled while it waited: %+v", job.Job)
	}
}

func TestAQueuedJobIsCancelledAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	event := s.event(cronium.EventBash, "echo ready; sleep 600", func(c *cronium.Content) { c.Concurrency = 1 })
	first := s.run(p, event, "")
	s.printed(first.ID, "ready")
	second, third := s.run(p, event, ""), s.run(p, event, "")
	s.eventually(second.ID, "waiting for the first", func(j *store.JobRow) bool { return j.Waiting == "concurrency" })
	if err := p.Cancel(t.Context(), s.workspace, second.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	if job := s.final(second.ID); job.Result != cronium.ResultCancelled || len(s.executions(second.ID)) != 0 {
		t.Errorf("%+v", job.Job)
	}
	if err := p.Cancel(t.Context(), s.workspace, first.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	s.printed(third.ID, "ready") // the end of the first lets it go
}

func TestARunningScriptOutlivesItsServer(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"stop", "crash"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			p := s.start(0)
			const lines = 60
			job := s.run(p, s.event(cronium.EventPython, counting(lines, "0.05"), nil), "")
			before := s.printed(job.ID, "line 5")
			if end == "stop" {
				p.stop()
			} else {
				p.crash()
			}
			s.start(0)
			row := s.final(job.ID)
			executions := s.executions(job.ID)
			if row.Result != cronium.ResultSuccess || len(executions) != 1 || executions[0].ID != before.ID || *executions[0].Owner == p.ID() {
				t.Fatalf("job %+v, executions %+v", row.Job, executions)
			}
			if got := s.output(before.ID); got != numbered(lines) {
				t.Errorf("output has a gap or a repeat:\n%s", got)
			}
		})
	}
}

func TestACancelMeantForADeadServerIsCarriedOutByItsSuccessor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	job := s.run(p, s.event(cronium.EventBash, "echo ready; sleep 600", nil), "")
	s.printed(job.ID, "ready")
	p.crash()
	if _, err := s.store.Cancel(t.Context(), s.workspace, job.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	s.start(0)
	if row := s.final(job.ID); row.Result != cronium.ResultCancelled {
		t.Errorf("%+v", row.Job)
	}
}

func TestAnExecutionWhoseContainerIsGoneIsLostAndRetried(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	job := s.run(p, s.event(cronium.EventBash, `echo ready; [ "$(cronium event .job.attempt)" = 2 ] || sleep 600`,
		func(c *cronium.Content) { c.Retry = cronium.Retry{Attempts: 2} }), "")
	execution := s.printed(job.ID, "ready")
	place, err := p.backend.Find(t.Context(), execution.TargetRef)
	if err != nil {
		t.Fatal(err)
	}
	if err := place.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	row := s.final(job.ID)
	executions := s.executions(job.ID)
	if row.Result != cronium.ResultSuccess || len(executions) != 2 || executions[0].Status != cronium.ExecutionLost {
		t.Errorf("job %+v, executions %+v", row.Job, executions)
	}
}

func TestAClaimThatNobodyDrivesIsTakenUp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	event := s.event(cronium.EventBash, "echo ready", nil)
	job := &cronium.Job{ID: cronium.NewID(), WorkspaceID: s.workspace, EventID: event, Version: 1, Priority: cronium.PriorityNormal, Trigger: cronium.TriggerManual}
	if _, err := s.store.Enqueue(t.Context(), job, nil, noQueue); err != nil {
		t.Fatal(err)
	}
	// A claim whose answer was lost: this process owns it and does not know.
	claim := store.Claim{JobID: job.ID, ExecutionID: cronium.NewID(), Owner: p.ID(), Target: cronium.TargetContainer}
	if _, err := s.store.Claim(t.Context(), claim, false); err != nil {
		t.Fatal(err)
	}
	if row := s.final(job.ID); row.Result != cronium.ResultSuccess {
		t.Errorf("%+v", row.Job)
	}
}

func TestWhatMayNotRunIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	event := s.event(cronium.EventBash, "true", func(c *cronium.Content) {
		c.InputSchema = json.RawMessage(`{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}`)
	})
	ask := func(change func(*Request)) error {
		r := Request{WorkspaceID: s.workspace, EventID: event, Trigger: cronium.TriggerManual, Input: json.RawMessage(`{"n":1}`)}
		change(&r)
		_, err := p.Enqueue(t.Context(), r)
		return err
	}
	for name, c := range map[string]struct {
		change func(*Request)
		code   cronium.Code
	}{
		"input against the schema":  {func(r *Request) { r.Input = json.RawMessage(`{"n":"x"}`) }, cronium.CodeInvalid},
		"input that is not JSON":    {func(r *Request) { r.Input = json.RawMessage(`{`) }, cronium.CodeInvalid},
		"another workspace's event": {func(r *Request) { r.WorkspaceID = cronium.NewID() }, cronium.CodeNotFound},
		"no such version":           {func(r *Request) { r.Version = 7 }, cronium.CodeNotFound},
		"no such priority":          {func(r *Request) { r.Priority = "SOON" }, cronium.CodeInvalid},
	} {
		if err := ask(c.change); cronium.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if err := ask(func(*Request) {}); err != nil {
		t.Error(err)
	}
}

func TestAPlaceThatIsGoneBeforeItsUseIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(1)
	event := s.event(cronium.EventBash, "echo ready", nil)
	if job := s.final(s.run(p, event, "").ID); job.Result != cronium.ResultSuccess { // the pool is awake
		t.Fatalf("%+v", job.Job)
	}
	claim := store.Claim{Owner: p.ID(), Target: cronium.TargetContainer, ExecutionID: cronium.NewID()}
	job := &cronium.Job{ID: cronium.NewID(), WorkspaceID: s.workspace, EventID: event, Version: 1, Priority: cronium.PriorityNormal, Trigger: cronium.TriggerManual}
	if _, err := s.store.Enqueue(t.Context(), job, nil, noQueue); err != nil {
		t.Fatal(err)
	}
	content, err := p.content.get(t.Context(), s.workspace, event, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := p.newRun(cronium.Execution{ID: claim.ExecutionID, WorkspaceID: s.workspace, JobID: job.ID, Target: cronium.TargetContainer}, content)
	p.add(r)
	defer p.remove(r)
	if err := r.claim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.place == nil {
		if err := r.findPlace(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	gone := r.place.Ref()
	if err := r.place.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.drive(t.Context())
	row := s.final(job.ID)
	execution := s.executions(job.ID)[0]
	if row.Result != cronium.ResultSuccess || execution.TargetRef == gone {
		t.Errorf("job %+v, execution %+v", row.Job, execution)
	}
}

func TestAnEventOnATargetThatIsOffIsRefusedAndItsExecutionsWait(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	event := s.event(cronium.EventBash, "true", func(c *cronium.Content) { c.Target = cronium.TargetProcess })
	_, err := p.Enqueue(t.Context(), Request{WorkspaceID: s.workspace, EventID: event, Trigger: cronium.TriggerManual})
	if cronium.CodeOf(err) != cronium.CodeConflict {
		t.Errorf("accepted: %v", err)
	}
	// An execution of a server that had the target on, and died.
	job := &cronium.Job{ID: cronium.NewID(), WorkspaceID: s.workspace, EventID: event, Version: 1, Priority: cronium.PriorityNormal, Trigger: cronium.TriggerManual}
	if _, err := s.store.Enqueue(t.Context(), job, nil, noQueue); err != nil {
		t.Fatal(err)
	}
	dead := s.mortal()
	claim := store.Claim{JobID: job.ID, ExecutionID: cronium.NewID(), Owner: dead, Target: cronium.TargetProcess, TargetRef: "x/y"}
	if _, err := s.store.Claim(t.Context(), claim, false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.HandOver(t.Context(), dead); err != nil {
		t.Fatal(err)
	}
	kinds := []cronium.TargetKind{cronium.TargetContainer}
	if adopted, err := s.store.TakeOver(t.Context(), p.ID(), store.Serves{Targets: kinds}, nil, 10); err != nil || len(adopted) != 0 {
		t.Errorf("took over %d executions of another kind, %v", len(adopted), err)
	}
}

func TestTheMostUrgentWaitingJobRunsFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.maxRuns = 1
	p := s.start(0)
	busy := s.run(p, s.event(cronium.EventBash, "echo ready; sleep 600", nil), "")
	s.printed(busy.ID, "ready")
	event := s.event(cronium.EventBash, "true", nil)
	var waiting []cronium.ID
	for _, priority := range []cronium.Priority{cronium.PriorityLow, cronium.PriorityNormal, cronium.PriorityCritical, cronium.PriorityHigh} {
		job, err := p.Enqueue(t.Context(), Request{WorkspaceID: s.workspace, EventID: event, Trigger: cronium.TriggerManual, Priority: priority})
		if err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, job.ID)
	}
	if err := p.Cancel(t.Context(), s.workspace, busy.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	claimed := map[cronium.Priority]time.Time{}
	for _, id := range waiting {
		job := s.final(id)
		claimed[job.Priority] = *job.ClaimedAt
	}
	if !claimed[cronium.PriorityCritical].Before(claimed[cronium.PriorityHigh]) || !claimed[cronium.PriorityHigh].Before(claimed[cronium.PriorityNormal]) ||
		!claimed[cronium.PriorityNormal].Before(claimed[cronium.PriorityLow]) {
		t.Errorf("claimed at %v", claimed)
	}
}

func TestAnEndThatTheDatabaseCannotHoldIsStoredWithoutTheOutput(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	// Valid JSON that PostgreSQL refuses: nested deeper than its parser goes.
	other := s.run(p, s.event(cronium.EventBash, "echo ready; sleep 600", nil), "")
	execution := s.printed(other.ID, "ready")
	content, err := p.content.get(t.Context(), s.workspace, other.EventID, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := p.newRun(execution, content)
	r.job = *other
	r.hide(p.masks.none)
	deep := strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000)
	r.finish(t.Context(), store.Finish{Status: cronium.ExecutionSuccess, Output: json.RawMessage(deep)})
	if row := s.final(other.ID); row.Result != cronium.ResultSuccess || row.Output != nil || !strings.Contains(row.Error, "cannot hold") {
		t.Errorf("%+v", row.Job)
	}
}
