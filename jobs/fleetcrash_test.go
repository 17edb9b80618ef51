package jobs

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// counts runs a long script on hosts and waits until it has begun on all.
func (f *fleet) counts(p *fleetProcess, lines int, hosts ...*host) cronium.ID {
	f.Helper()
	event := f.event(cronium.EventPython, counting(lines, "0.05"), func(c *cronium.Content) {
		c.Target, c.On = cronium.TargetServers, &cronium.Fleet{Servers: f.ids(hosts...), Strategy: cronium.StrategyAll, Offline: cronium.OfflineFail}
	})
	job := f.runOn(p, event)
	f.eventually(job.ID, "output of all servers", func(*store.JobRow) bool {
		begun := 0
		for _, e := range f.executions(job.ID) {
			if e.OutputLines > 3 {
				begun++
			}
		}
		return begun == len(hosts)
	})
	return job.ID
}

// whole fails unless each server ran the script once and all of its output is
// there.
func (f *fleet) whole(job cronium.ID, lines int) {
	f.Helper()
	row := f.final(job)
	executions := f.executions(job)
	if row.Result != cronium.ResultSuccess || len(executions) != row.Targets {
		f.Fatalf("job %+v, %d executions: %s", row.Job, len(executions), f.statuses(job))
	}
	for _, e := range executions {
		if got := f.output(e.ID); got != numbered(lines) {
			f.Errorf("output on %s has a gap or a repeat:\n%s", e.ServerID, got)
		}
	}
	groups, err := f.store.TargetGroups(f.Context(), f.workspace, job)
	if err != nil || len(groups) != 1 || groups[0].Hash == nil {
		f.Errorf("equal outputs are not together: %+v, %v", groups, err)
	}
}

func TestScriptsOnServersOutliveTheProcessThatFollowsThem(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"stop", "crash"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			p := f.start()
			job := f.counts(p, 60, f.host("a", cronium.ServerSSH), f.host("b", cronium.ServerSSH))
			if end == "stop" {
				p.stop()
			} else {
				p.crash()
			}
			f.start()
			f.whole(job, 60)
		})
	}
}

func TestAnAgentThatDialsAnotherProcessTakesItsExecutionsAlong(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p, q := f.start(), f.start()
	h := f.host("edge", cronium.ServerAgent)
	f.hold(p, h)
	job := f.counts(p, 60, h)
	f.hold(q, h)
	p.hosts.cut(h)
	f.whole(job, 60)
	if owner := f.executions(job)[0].Owner; *owner != q.ID() {
		t.Errorf("it was followed to its end by %s, want the process that the agent dialled, %s", owner, q.ID())
	}
}

// Its owner has died and its agent is connected to nobody, so nobody holds it; yet
// it must be possible to end it.
func TestAnExecutionOnAnAgentThatNeverComesBackIsAdoptedAndCancelled(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	dead, heir := f.start(), f.start()
	h := f.host("edge", cronium.ServerAgent)
	f.hold(dead, h)
	job := f.counts(dead, 6000, h)
	h.down.Store(true)
	f.exec(`UPDATE server_states SET seen_at = now() - interval '1 minute' WHERE server_id = $1`, h.id)
	dead.crash()
	f.exec(`UPDATE processes SET lease_until = now() - interval '1 minute' WHERE id = $1`, dead.ID())
	f.eventually(job, "an owner that lives", func(*store.JobRow) bool {
		owner := f.executions(job)[0].Owner
		return owner != nil && *owner == heir.ID()
	})
	if err := heir.Cancel(t.Context(), f.workspace, job, "ann"); err != nil {
		t.Fatal(err)
	}
	if row, e := f.final(job), f.executions(job)[0]; row.Result != cronium.ResultCancelled || e.Status != cronium.ExecutionLost {
		t.Errorf("%+v; %+v", row.Job, e)
	}
}

func TestATargetGoesToTheProcessThatHoldsItsAgent(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p, q := f.start(), f.start()
	h := f.host("edge", cronium.ServerAgent)
	f.hold(p, h)
	h.holder.Store(&q.id) // but the database does not know yet, so the entry is meant for the first
	job := f.runOn(p, f.on("true", cronium.Fleet{Servers: f.ids(h), Offline: cronium.OfflineWait, OfflineSeconds: 60}, nil))
	f.eventually(job.ID, "a try in vain", func(*store.JobRow) bool {
		targets := f.targets(job.ID)
		return len(targets) == 1 && targets[0].AwaySince != nil
	})
	f.hold(q, h)
	if row := f.final(job.ID); row.Result != cronium.ResultSuccess || *f.executions(job.ID)[0].Owner != q.ID() {
		t.Errorf("%+v: %s", row.Job, f.statuses(job.ID))
	}
}

// resolved makes a job on servers whose targets are found but in no queue, as if
// it had happened minutes ago.
func (f *fleet) resolved(event cronium.ID, fleet *cronium.Fleet) cronium.ID {
	f.Helper()
	id := cronium.NewID()
	old := cronium.IDFloor(time.Now().Add(-5 * time.Minute))
	copy(id[:6], old[:6])
	job := &cronium.Job{ID: id, WorkspaceID: f.workspace, EventID: event, Version: 1, Priority: cronium.PriorityNormal, Trigger: cronium.TriggerManual}
	if _, err := f.store.Enqueue(f.Context(), job, nil, noQueue); err != nil {
		f.Fatal(err)
	}
	_, err := f.store.Resolve(f.Context(), store.Resolution{JobID: id, Fleet: fleet, Queue: noTargetQueue()})
	if err != nil {
		f.Fatal(err)
	}
	f.exec(`UPDATE jobs SET claimed_at = now() - interval '5 minutes' WHERE id = $1`, id)
	return id
}

// noTargetQueue loses what it is given, as a crash would.
func noTargetQueue() *store.TargetQueue {
	return &store.TargetQueue{
		Job:     func(context.Context, pgx.Tx, cronium.Job, time.Time) error { return nil },
		Targets: func(context.Context, pgx.Tx, cronium.Job, []store.Released) error { return nil },
	}
}

func TestATargetWithoutAnEntryInTheQueueGetsOne(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p := f.start()
	fleet := &cronium.Fleet{Servers: f.ids(f.host("a", cronium.ServerSSH), f.host("b", cronium.ServerSSH)), Strategy: cronium.StrategyAll, Offline: cronium.OfflineFail}
	job := f.resolved(f.on("true", *fleet, nil), fleet)
	if err := p.mendFleets(t.Context()); err != nil {
		t.Fatal(err)
	}
	if row := f.final(job); row.Result != cronium.ResultSuccess || row.Succeeded != 2 {
		t.Errorf("%+v", row.Job)
	}
}

func TestAJobWhoseTargetsHaveAllEndedEnds(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p := f.start()
	fleet := &cronium.Fleet{Servers: f.ids(f.host("a", cronium.ServerSSH)), Strategy: cronium.StrategyAll, Offline: cronium.OfflineFail}
	job := f.resolved(f.on("true", *fleet, nil), fleet)
	f.exec(`UPDATE job_targets SET status = 'CANCELLED' WHERE job_id = $1`, job)
	f.exec(`UPDATE jobs SET cancelled_at = now() WHERE id = $1`, job)
	if err := p.mendFleets(t.Context()); err != nil {
		t.Fatal(err)
	}
	if row := f.final(job); row.Result != cronium.ResultCancelled || row.Failed != 1 {
		t.Errorf("%+v", row.Job)
	}
}

func TestAnEntryThatADeadProcessHadFetchedIsFetchedAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range []cronium.ServerKind{cronium.ServerSSH, cronium.ServerAgent} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			dead := f.start()
			h := f.host("a", kind)
			f.hold(dead, h)
			h.down.Store(true)
			fleet := cronium.Fleet{Servers: f.ids(h), Offline: cronium.OfflineWait, OfflineSeconds: 600}
			job := f.runOn(dead, f.on("true", fleet, nil))
			f.eventually(job.ID, "a server that is waited for", func(*store.JobRow) bool {
				targets := f.targets(job.ID)
				return len(targets) == 1 && targets[0].AwaySince != nil
			})
			dead.crash()
			// As if it had died with the entry in its hands.
			f.exec(`UPDATE river_job SET state = 'running', attempted_by = ARRAY[$2] WHERE args->>'job_id' = $1::text AND args->>'server_id' IS NOT NULL`, job.ID.String(), dead.ID().String())
			h.down.Store(false)
			f.hold(f.start(), h)
			if row := f.final(job.ID); row.Result != cronium.ResultSuccess {
				t.Errorf("%+v", row.Job)
			}
		})
	}
}

func TestAClaimOfATargetThatNobodyDrivesIsTakenUp(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p := f.start()
	h := f.host("a", cronium.ServerSSH)
	fleet := &cronium.Fleet{Servers: f.ids(h), Strategy: cronium.StrategyAll, Offline: cronium.OfflineFail}
	job := f.resolved(f.on("true", *fleet, nil), fleet)
	execution := cronium.NewID()
	place, err := p.Backends[cronium.TargetSSH].Create(t.Context(), (&run{execution: cronium.Execution{ID: execution, ServerID: &h.id}, content: &prepared{Content: cronium.Content{On: fleet}}}).spec(), nil)
	if err != nil {
		t.Fatal(err)
	}
	claim := store.TargetClaim{ServerID: h.id, Claim: store.Claim{JobID: job, ExecutionID: execution, Owner: p.ID(), Target: cronium.TargetSSH, TargetRef: place.Ref()}}
	if _, err := f.store.ClaimTarget(t.Context(), claim, fleet, noTargetQueue()); err != nil {
		t.Fatal(err)
	}
	if row := f.final(job); row.Result != cronium.ResultSuccess || len(f.executions(job)) != 1 {
		t.Errorf("%+v", row.Job)
	}
}

func TestAServerThatIsGoneWhenItsTurnComesHasFailed(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p := f.start()
	a, archived := f.host("a", cronium.ServerSSH), f.host("old", cronium.ServerSSH)
	gone := cronium.NewID()
	f.exec(`UPDATE servers SET archived_at = now() WHERE id = $1`, archived.id)
	event := f.on("true", cronium.Fleet{Servers: append(f.ids(a, archived), gone)}, nil)
	job := f.final(f.runOn(p, event).ID)
	if got := f.statuses(job.ID); got != "a SUCCESS, old FAILURE, (deleted) FAILURE" || job.Result != cronium.ResultPartial {
		t.Errorf("%s; %+v", got, job.Job)
	}
	// And one that is archived between its release and its claim.
	fleet := &cronium.Fleet{Servers: f.ids(a), Strategy: cronium.StrategyAll, Offline: cronium.OfflineFail}
	late := f.resolved(f.on("true", *fleet, nil), fleet)
	f.exec(`UPDATE servers SET archived_at = now() WHERE id = $1`, a.id)
	if err := p.mendFleets(t.Context()); err != nil {
		t.Fatal(err)
	}
	if row := f.final(late); row.Result != cronium.ResultFailure || !strings.Contains(f.targets(late)[0].Reason, "archived") {
		t.Errorf("%+v: %+v", row.Job, f.targets(late))
	}
}

func TestAConcurrencyLimitCountsJobsOnServersOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p := f.start()
	hosts := []*host{f.host("a", cronium.ServerSSH), f.host("b", cronium.ServerSSH)}
	event := f.on("echo ready; sleep 600", cronium.Fleet{Servers: f.ids(hosts...)}, func(c *cronium.Content) { c.Concurrency = 1 })
	first := f.runOn(p, event)
	f.eventually(first.ID, "both run", func(*store.JobRow) bool { return strings.Count(f.statuses(first.ID), "RUNNING") == 2 })
	second := f.runOn(p, event)
	f.eventually(second.ID, "waiting for the first", func(j *store.JobRow) bool { return j.Waiting == "concurrency" })
	if err := p.Cancel(t.Context(), f.workspace, first.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	f.final(first.ID)
	f.eventually(second.ID, "its turn", func(*store.JobRow) bool { return strings.Count(f.statuses(second.ID), "RUNNING") == 2 })
	third := f.runOn(p, event)
	f.eventually(third.ID, "waiting for the second", func(j *store.JobRow) bool { return j.Waiting == "concurrency" })
	for _, h := range hosts {
		h.down.Store(true)
	}
	if err := p.Cancel(t.Context(), f.workspace, second.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	f.final(second.ID)
	f.eventually(third.ID, "the turn of the third", func(j *store.JobRow) bool { return j.Waiting == "" })
}

func TestACrowdOfServersTakesNoSlotOfContainers(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	p := f.start()
	sizes := queueSizes(p.Config)
	id := p.ID()
	for queue, want := range map[string]int{"ssh": 100, "agent": 100, store.AgentQueue(&id): 100, "servers": f.maxRuns} {
		if sizes[queue] != want {
			t.Errorf("the queue %s has %d slots, want %d", queue, sizes[queue], want)
		}
	}
	var hosts []*host
	for i := range 6 {
		h := f.host(fmt.Sprint("h", i), cronium.ServerSSH)
		h.down.Store(true)
		hosts = append(hosts, h)
	}
	job := f.runOn(p, f.on("true", cronium.Fleet{Servers: f.ids(hosts...), Offline: cronium.OfflineWait, OfflineSeconds: 600}, nil))
	f.eventually(job.ID, "all are waited for", func(*store.JobRow) bool {
		targets := f.targets(job.ID)
		for _, target := range targets {
			if target.AwaySince == nil {
				return false
			}
		}
		return len(targets) == 6 && p.Status().RunningRemote == 0
	})
}
