package jobs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// on makes an event of one script on servers.
func (f *fleet) on(script string, fleet cronium.Fleet, change func(*cronium.Content)) cronium.ID {
	f.Helper()
	if fleet.Strategy == "" {
		fleet.Strategy = cronium.StrategyAll
	}
	if fleet.Offline == "" {
		fleet.Offline = cronium.OfflineFail
	}
	return f.event(cronium.EventBash, script, func(c *cronium.Content) {
		c.Target, c.On = cronium.TargetServers, &fleet
		if change != nil {
			change(c)
		}
	})
}

func (f *fleet) runOn(p *fleetProcess, event cronium.ID) *cronium.Job {
	f.Helper()
	return f.run(&server{Engine: p.Engine}, event, "")
}

func (f *fleet) targets(job cronium.ID) []cronium.JobTarget {
	f.Helper()
	targets, err := f.store.JobTargets(f.Context(), f.workspace, job, store.TargetFilter{After: -1, Limit: 10_000})
	if err != nil {
		f.Fatal(err)
	}
	return targets
}

// statuses is the targets of a job in a line, like "web-1 SUCCESS, web-2 FAILURE".
func (f *fleet) statuses(job cronium.ID) string {
	f.Helper()
	var all []string
	for _, t := range f.targets(job) {
		all = append(all, t.Name+" "+string(t.Status))
	}
	return strings.Join(all, ", ")
}

func (f *fleet) ids(hosts ...*host) []cronium.ID {
	var ids []cronium.ID
	for _, h := range hosts {
		ids = append(ids, h.id)
	}
	return ids
}

func TestAScriptRunsOnEachServerThatMatches(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p := f.start()
	f.host("web-1", cronium.ServerSSH, "role=web")
	f.hold(p, f.host("web-2", cronium.ServerAgent, "role=web"))
	f.host("db-1", cronium.ServerSSH, "role=db")
	event := f.on(`source cronium.sh; echo "on $(cronium_event .server.name) as $(cronium_event .server.tags.role)"; cronium_output '{"n":1}'`, cronium.Fleet{Selector: "role=web"}, nil)
	job := f.final(f.runOn(p, event).ID)
	if got := f.statuses(job.ID); got != "web-1 SUCCESS, web-2 SUCCESS" || job.Result != cronium.ResultSuccess || job.Targets != 2 || job.Succeeded != 2 {
		t.Fatalf("%s; %+v", got, job.Job)
	}
	for _, target := range f.targets(job.ID) {
		if got, want := f.output(*target.ExecutionID), "on "+target.Name+" as web\n"; got != want {
			t.Errorf("%s printed %q, want %q", target.Name, got, want)
		}
		if string(target.Output) != `{"n":1}` || *target.ExitCode != 0 {
			t.Errorf("%+v", target)
		}
	}
}

func TestTargetsThatDifferArePartialAndTheFailedOnesRunAgain(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p := f.start()
	good, bad := f.host("good", cronium.ServerSSH), f.host("bad", cronium.ServerSSH)
	event := f.on(`source cronium.sh; [ "$(cronium_event .server.name)" = good ] || exit 3`, cronium.Fleet{Servers: f.ids(good, bad)}, func(c *cronium.Content) {
		c.Retry = cronium.Retry{Attempts: 2}
	})
	job := f.final(f.runOn(p, event).ID)
	if got := f.statuses(job.ID); got != "good SUCCESS, bad FAILURE" || job.Result != cronium.ResultPartial || job.Error != "It succeeded on 1 of 2 servers." {
		t.Fatalf("%s; %+v", got, job.Job)
	}
	if target := f.targets(job.ID)[1]; target.Attempts != 2 || *target.ExitCode != 3 {
		t.Errorf("%+v, want two attempts", target)
	}
	if n := len(f.executions(job.ID)); n != 3 {
		t.Errorf("%d executions, want 3", n)
	}
	again, err := p.Enqueue(t.Context(), Request{WorkspaceID: f.workspace, EventID: event, Trigger: cronium.TriggerRerun, RerunOf: &job.ID, OnFailed: true})
	if err != nil {
		t.Fatal(err)
	}
	if row := f.final(again.ID); row.Targets != 1 || row.Result != cronium.ResultFailure || !slices.Equal(row.Servers, f.ids(bad)) {
		t.Errorf("%+v", row.Job)
	}
}

func TestAJobWithoutServersFailsAndSaysSo(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p := f.start()
	job := f.final(f.runOn(p, f.on("true", cronium.Fleet{Selector: "role=web"}, nil)).ID)
	if job.Result != cronium.ResultFailure || !strings.Contains(job.Error, `No server matches "role=web"`) {
		t.Errorf("%+v", job.Job)
	}
}

func TestARollingRunStopsAfterTooManyFailures(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p := f.start()
	for i := range 6 {
		f.host(fmt.Sprintf("n%d", i), cronium.ServerSSH, "all=yes")
	}
	event := f.on(`source cronium.sh; case "$(cronium_event .server.name)" in n2|n3) exit 1; esac`, cronium.Fleet{
		Selector: "all=yes", Strategy: cronium.StrategyRolling, Parallel: 2, PauseSeconds: 1, FailureUnit: cronium.FailureCount, MaxFailures: 1}, nil)
	job := f.final(f.runOn(p, event).ID)
	if got := f.statuses(job.ID); got != "n0 SUCCESS, n1 SUCCESS, n2 FAILURE, n3 FAILURE, n4 SKIPPED, n5 SKIPPED" || job.Result != cronium.ResultPartial {
		t.Fatalf("%s; %+v", got, job.Job)
	}
	targets := f.targets(job.ID)
	if pause := targets[2].StartedAt.Sub(*targets[1].FinishedAt).Seconds(); pause < 1 {
		t.Errorf("the second batch began %.1f s after the first, want at least 1", pause)
	}
}

func TestAnyServerThatIsReachedWillDoAndTheFirstThatSucceedsEnds(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p := f.start()
	a, b, c := f.host("a", cronium.ServerSSH), f.host("b", cronium.ServerSSH), f.host("c", cronium.ServerSSH)
	a.down.Store(true)
	any := f.on("true", cronium.Fleet{Servers: f.ids(a, b, c), Strategy: cronium.StrategyAny, Offline: cronium.OfflineWait, OfflineSeconds: 60}, nil)
	job := f.final(f.runOn(p, any).ID)
	if got := f.statuses(job.ID); got != "a SKIPPED, b SUCCESS, c SKIPPED" || job.Result != cronium.ResultSuccess || len(f.executions(job.ID)) != 1 {
		t.Errorf("%s; %+v", got, job.Job)
	}
	a.down.Store(false)
	first := f.on(`source cronium.sh; [ "$(cronium_event .server.name)" = b ]`, cronium.Fleet{Servers: f.ids(a, b, c), Strategy: cronium.StrategyFirst}, nil)
	job = f.final(f.runOn(p, first).ID)
	if got := f.statuses(job.ID); got != "a FAILURE, b SUCCESS, c SKIPPED" || job.Result != cronium.ResultSuccess {
		t.Errorf("%s; %+v", got, job.Job)
	}
}

func TestWhatBecomesOfAServerThatCannotBeReached(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p := f.start()
	up, down := f.host("up", cronium.ServerSSH), f.host("down", cronium.ServerSSH)
	down.down.Store(true)
	f.exec(`UPDATE server_states SET state = 'OFFLINE' WHERE server_id = $1`, down.id)
	for _, c := range []struct {
		offline  cronium.Offline
		statuses string
		result   cronium.Result
	}{
		{cronium.OfflineSkip, "up SUCCESS, down SKIPPED", cronium.ResultSuccess},
		{cronium.OfflineFail, "up SUCCESS, down FAILURE", cronium.ResultPartial},
		{cronium.OfflineWait, "up SUCCESS, down FAILURE", cronium.ResultPartial},
	} {
		job := f.final(f.runOn(p, f.on("true", cronium.Fleet{Servers: f.ids(up, down), Offline: c.offline, OfflineSeconds: 1}, nil)).ID)
		if got := f.statuses(job.ID); got != c.statuses || job.Result != c.result {
			t.Errorf("%s: %s; %+v", c.offline, got, job.Job)
		}
		if reason := f.targets(job.ID)[1].Reason; reason != "down cannot be reached." {
			t.Errorf("%s: the reason is %q", c.offline, reason)
		}
	}
	// One that is seen to be back is tried at once, however long the wait was to be.
	waiting := f.runOn(p, f.on("true", cronium.Fleet{Servers: f.ids(up, down), Offline: cronium.OfflineWait, OfflineSeconds: 600}, nil))
	f.eventually(waiting.ID, "a server that is waited for", func(*store.JobRow) bool {
		targets := f.targets(waiting.ID)
		return len(targets) == 2 && targets[1].AwaySince != nil && targets[0].Status == cronium.TargetSuccess
	})
	f.eventually(waiting.ID, "the entry lies in the queue", func(*store.JobRow) bool {
		tag, err := f.store.WorkerPool().Exec(t.Context(), `UPDATE river_job SET state = 'scheduled', scheduled_at = now() + interval '1 hour'
			WHERE args->>'job_id' = $1 AND args->>'server_id' IS NOT NULL AND state IN ('available', 'scheduled')`, waiting.ID.String())
		return err == nil && tag.RowsAffected() == 1
	})
	down.down.Store(false)
	f.exec(`UPDATE job_targets SET next_attempt = now() + interval '1 hour' WHERE job_id = $1 AND status = 'QUEUED'`, waiting.ID)
	f.exec(`UPDATE server_states SET state = 'ONLINE', since = now() WHERE server_id = $1`, down.id)
	if job := f.final(waiting.ID); job.Result != cronium.ResultSuccess {
		t.Errorf("after it was back: %+v", job.Job)
	}
}

func TestCancellingStopsWhatRunsAndWhatWaits(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p := f.start()
	var hosts []*host
	for i := range 4 {
		hosts = append(hosts, f.host(fmt.Sprintf("n%d", i), cronium.ServerSSH))
	}
	job := f.runOn(p, f.on("echo ready; sleep 600", cronium.Fleet{Servers: f.ids(hosts...), Strategy: cronium.StrategyParallel, Parallel: 2}, nil))
	f.eventually(job.ID, "two that run", func(*store.JobRow) bool {
		return strings.Count(f.statuses(job.ID), "RUNNING") == 2 && f.executions(job.ID)[1].OutputBytes > 0
	})
	if err := p.Cancel(t.Context(), f.workspace, job.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	if row := f.final(job.ID); row.Result != cronium.ResultCancelled || strings.Count(f.statuses(job.ID), "CANCELLED") != 4 || len(f.executions(job.ID)) != 2 {
		t.Errorf("%s; %+v", f.statuses(job.ID), row.Job)
	}
}

func TestServersWithTheSameOutputAreTogether(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p := f.start()
	for i := range 3 {
		f.host(fmt.Sprintf("n%d", i), cronium.ServerSSH, "all=yes")
	}
	script := `source cronium.sh; echo one; echo two >&2; [ "$(cronium_event .server.name)" != n1 ] || echo odd`
	job := f.final(f.runOn(p, f.on(script, cronium.Fleet{Selector: "all=yes"}, nil)).ID)
	groups, err := f.store.TargetGroups(t.Context(), f.workspace, job.ID)
	if err != nil || len(groups) != 2 {
		t.Fatalf("%+v, %v", groups, err)
	}
	if groups[0].Count != 2 || strings.Join(groups[0].Names, " ") != "n0 n2" || groups[1].Count != 1 || groups[1].Names[0] != "n1" {
		t.Errorf("%+v", groups)
	}
}
