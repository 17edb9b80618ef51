package faults

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
)

// What must hold after all faults (check), and when the load is over (end_test.go):
//
//   - each accepted job is final, and each request made one job;
//   - a job's executions are its attempts 1, 2, 3, …, and the last one's end is
//     the job's;
//   - a script that says when it starts started at most once in each execution,
//     and exactly once in one that succeeded;
//   - the output of an execution that came to its end is all numbered lines,
//     each once and in order; of any other a part of that from its beginning;
//   - an execution is lost only if its container was taken from it, and fails
//     only if its script does.

func (e *execution) created() time.Time { return cronium.IDTime(e.ID) }

// ended tells whether the script came to its own end.
func (e *execution) ended() bool {
	return e.Status == cronium.ExecutionSuccess || e.ExitCode != nil && *e.ExitCode == 3
}

// checker gathers what is wrong.
type checker struct {
	*testing.T
	run    *run
	kinds  map[cronium.ID]*kind // by event
	counts map[string]int       // of ends, for the summary
}

// check checks jobs, executions, starts and output.
func (r *run) check(t *testing.T) {
	t.Helper()
	c := &checker{T: t, run: r, kinds: map[cronium.ID]*kind{}, counts: map[string]int{}}
	for _, k := range r.load.kinds {
		c.kinds[k.id] = k
	}
	for _, err := range r.load.failed {
		c.Error(err)
	}
	executions, err := r.strikes.database.executions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := r.strikes.database.jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	of := map[cronium.ID][]execution{}
	for _, e := range executions {
		of[e.JobID] = append(of[e.JobID], e)
	}
	c.jobs(jobs, of)
	for _, e := range executions {
		c.execution(e)
	}
	c.strangers(executions)
	c.Logf("%d jobs, %d executions: %v", len(jobs), len(executions), c.counts)
}

// wrong reports something wrong with an execution, and all that is known of it.
func (c *checker) wrong(e execution, format string, args ...any) {
	c.Helper()
	code := "none"
	if e.ExitCode != nil {
		code = fmt.Sprint(*e.ExitCode)
	}
	c.Errorf("%s\n  execution %s of %q: attempt %d, %s, exit code %s, place %.20s, %d bytes of output, from %s to %v, error %q, excused %v\n  job %s\n%s",
		fmt.Sprintf(format, args...), e.ID, c.kinds[e.EventID].name, e.Attempt, e.Status, code, e.TargetRef, e.OutputBytes,
		e.created().Format(time.TimeOnly), e.FinishedAt, e.Error, c.run.strikes.excuses(e), e.JobID, c.run.logsOf(e.ID, e.JobID))
}

func (c *checker) jobs(jobs []job, of map[cronium.ID][]execution) {
	accepted := maps.Clone(c.run.load.jobs)
	for _, j := range jobs {
		if accepted[j.ID] == nil {
			c.Errorf("nobody asked for job %s", j.ID)
		}
		delete(accepted, j.ID)
		if !j.Status.Final() {
			c.Errorf("job %s of %q is %s for ever\n%s", j.ID, c.kinds[j.EventID].name, j.Status, c.run.logsOf(j.ID))
			continue
		}
		c.counts["job "+string(j.Result)]++
		executions := of[j.ID]
		if len(executions) != j.Attempts {
			c.Errorf("job %s made %d attempts and has %d executions\n%s", j.ID, j.Attempts, len(executions), c.run.logsOf(j.ID))
		}
		slices.SortFunc(executions, func(a, b execution) int { return a.Attempt - b.Attempt })
		for i, e := range executions {
			if e.Attempt != i+1 {
				c.wrong(e, "it is attempt %d and not %d", e.Attempt, i+1)
			}
		}
		c.end(j, executions)
	}
	for id, k := range accepted {
		c.Errorf("job %s of %q was accepted and is not there", id, k.name)
	}
}

// end compares a job's end with its last execution's, and with what is expected.
func (c *checker) end(j job, executions []execution) {
	cancelled := j.CancelledAt != nil && j.Result == cronium.ResultCancelled
	if len(executions) == 0 {
		if !cancelled {
			c.Errorf("job %s is %s without an execution\n%s", j.ID, j.Result, c.run.logsOf(j.ID))
		}
		return
	}
	last := executions[len(executions)-1]
	if last.Status.Result() != j.Result && !cancelled {
		c.wrong(last, "the job ended with %s (%s)", j.Result, j.Error)
	}
	wanted, kind := cronium.ResultSuccess, c.kinds[j.EventID]
	if kind.cancel {
		wanted = cronium.ResultCancelled
	}
	if j.Result == wanted || c.run.strikes.excuses(last) {
		return
	}
	if kind.cancel && kind.failsOnce && j.Result == cronium.ResultSuccess {
		return // it was cancelled too late
	}
	c.wrong(last, "the job ended with %s (%s) instead of %s", j.Result, j.Error, wanted)
}

func (c *checker) execution(e execution) {
	kind := c.kinds[e.EventID]
	end := "execution " + string(e.Status)
	if c.run.strikes.excuses(e) {
		end += " (container taken)"
	}
	c.counts[end]++
	if !e.Status.Final() {
		c.wrong(e, "it is not final")
		return
	}
	starts := c.run.starts.of(e.ID.String())
	if starts > 1 {
		c.wrong(e, "its script started %d times", starts)
	}
	if e.ended() && kind.reports && starts == 0 {
		c.wrong(e, "it came to an end, but its script never started")
	}
	if e.Status == cronium.ExecutionLost && !c.run.strikes.excuses(e) {
		c.wrong(e, "its container was not taken from it, and yet it is lost")
	}
	if e.Status == cronium.ExecutionFailure && !e.ended() {
		c.wrong(e, "it failed for a reason that is not the script's")
	}
	c.output(e, kind)
}

func (c *checker) output(e execution, kind *kind) {
	printed, err := c.run.output(c.Context(), e.ID)
	if err != nil {
		c.wrong(e, "its output cannot be read: %v", err)
		return
	}
	if int64(len(printed)) != e.OutputBytes {
		c.wrong(e, "%d bytes of output are there", len(printed))
	}
	whole := kind.output()
	switch {
	case e.ended() && printed != whole:
		c.wrong(e, "its output is not all lines: %s", difference(printed, whole))
	case !strings.HasPrefix(whole, printed) && !onlyComplains(printed, whole):
		c.wrong(e, "its output is not a beginning of the lines: %s", difference(printed, whole))
	}
}

// onlyComplains tells whether the output goes on, after some lines, with what
// an interpreter says when it is ended.
func onlyComplains(printed, whole string) bool {
	lines := strings.SplitAfter(printed, "\n")
	for i, line := range lines {
		if !strings.HasPrefix(whole, strings.Join(lines[:i+1], "")) {
			return !strings.HasPrefix(line, "line ") && !strings.Contains(strings.Join(lines[i:], ""), "\nline ")
		}
	}
	return true
}

// difference shows where two texts part.
func difference(got, want string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	part := func(s string) string { return s[max(0, min(i-20, len(s))):min(i+60, len(s))] }
	return fmt.Sprintf("at byte %d there is …%q instead of …%q", i, part(got), part(want))
}

// strangers looks for scripts that started in an execution that is not there.
func (c *checker) strangers(executions []execution) {
	started := c.run.starts.all()
	for _, e := range executions {
		delete(started, e.ID.String())
	}
	for id, n := range started {
		c.Errorf("a script started %d times in execution %s, which is not there", n, id)
	}
}

// output is all that an execution printed, as a person downloads it.
func (r *run) output(ctx context.Context, id cronium.ID) (string, error) {
	body, err := r.load.client.Open(ctx, http.MethodGet, "/api/v1/executions/"+id.String()+"/output", http.Header{"Accept": {"text/plain"}}, nil)
	if err != nil {
		return "", err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	return string(text), err
}

// logsOf gives the lines of the servers' logs that name one of the ids.
func (r *run) logsOf(ids ...cronium.ID) string {
	var found strings.Builder
	for _, file := range r.fleet.logs {
		text, err := os.ReadFile(file)
		if err != nil {
			fmt.Fprintln(&found, err)
		}
		for line := range strings.Lines(string(text)) {
			if slices.ContainsFunc(ids, func(id cronium.ID) bool { return strings.Contains(line, id.String()) }) {
				fmt.Fprintf(&found, "    %s: %s", strings.TrimSuffix(filepath.Base(file), ".log"), line)
			}
		}
	}
	return found.String()
}
