package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// noTargetQueue adds nothing: tests look for released targets themselves.
func noTargetQueue() *TargetQueue {
	return &TargetQueue{Job: noRequeue, Targets: func(context.Context, pgx.Tx, cronium.Job, []Released) error { return nil }}
}

// servers adds servers to the workspace.
func (f *fixture) servers(t *testing.T, n int) []cronium.ID {
	t.Helper()
	ids := make([]cronium.ID, n)
	for i := range ids {
		ids[i] = cronium.NewID()
		f.exec(t, `INSERT INTO servers (id, workspace_id, name, kind) VALUES ($1, $2, $3, 'ssh')`, ids[i], f.workspace, fmt.Sprint("s", i))
		f.exec(t, `INSERT INTO server_states (server_id, workspace_id) VALUES ($1, $2)`, ids[i], f.workspace)
	}
	return ids
}

func (f *fixture) resolve(t *testing.T, fleet *cronium.Fleet) *cronium.Job {
	t.Helper()
	job, err := f.Resolve(f.ctx, Resolution{JobID: f.enqueue(t).ID, Fleet: fleet, Queue: noTargetQueue()})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// attempt is a try to claim a target.
func (f *fixture) attempt(job, server cronium.ID, fleet *cronium.Fleet) (cronium.ID, error) {
	execution := cronium.NewID()
	_, err := f.ClaimTarget(f.ctx, TargetClaim{ServerID: server, Claim: Claim{
		JobID: job, ExecutionID: execution, Owner: f.process, Target: cronium.TargetSSH, TargetRef: "s/" + execution.String()}}, fleet, noTargetQueue())
	return execution, err
}

func (f *fixture) end(job, server, execution cronium.ID, fleet *cronium.Fleet, change func(*TargetEnd)) error {
	code := 0
	end := TargetEnd{Finish: Finish{ExecutionID: execution, JobID: job, Owner: f.process, Status: cronium.ExecutionSuccess, ExitCode: &code},
		ServerID: server, Fleet: fleet, Queue: noTargetQueue()}
	if change != nil {
		change(&end)
	}
	return f.EndTarget(f.ctx, end)
}

func (f *fixture) jobNow(t *testing.T, id cronium.ID) *JobRow {
	t.Helper()
	row, err := f.Job(f.ctx, f.workspace, id)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func TestATargetIsClaimedOnceAndEndedByItsOwnerAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	fleet := &cronium.Fleet{Servers: f.servers(t, 1), Strategy: cronium.StrategyAll}
	job := f.resolve(t, fleet)
	server := fleet.Servers[0]
	type claimed struct {
		execution cronium.ID
		err       error
	}
	results := make(chan claimed, 20)
	for range 20 {
		go func() {
			execution, err := f.attempt(job.ID, server, fleet)
			results <- claimed{execution, err}
		}()
	}
	var winner cronium.ID
	for range 20 {
		switch r := <-results; {
		case r.err == nil && winner == cronium.ID{}:
			winner = r.execution
		case !errors.Is(r.err, ErrNotQueued):
			t.Fatalf("claimed again, or %v", r.err)
		}
	}
	for name, change := range map[string]func(*TargetEnd){
		"another process":   func(e *TargetEnd) { e.Owner = cronium.NewID() },
		"another execution": func(e *TargetEnd) { e.ExecutionID = cronium.NewID() },
		"no execution":      func(e *TargetEnd) { e.ExecutionID, e.Status = cronium.ID{}, cronium.TargetSkipped },
	} {
		if err := f.end(job.ID, server, winner, fleet, change); !errors.Is(err, ErrNotOwner) {
			t.Errorf("%s ended it: %v", name, err)
		}
	}
	if err := f.end(job.ID, server, winner, fleet, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.end(job.ID, server, winner, fleet, nil); !errors.Is(err, ErrNotOwner) {
		t.Errorf("ended twice: %v", err)
	}
	if row := f.jobNow(t, job.ID); row.Result != cronium.ResultSuccess || row.Succeeded != 1 {
		t.Errorf("%+v", row.Job)
	}
}

func TestOneOfManyIsTakenWhereAnyWillDo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	fleet := &cronium.Fleet{Servers: f.servers(t, 4), Strategy: cronium.StrategyAny, Offline: cronium.OfflineWait, OfflineSeconds: 60}
	job := f.resolve(t, fleet)
	for _, server := range fleet.Servers[:3] { // each that is away lets the next be tried
		if ok, err := f.Away(f.ctx, Away{JobID: job.ID, ServerID: server, Reason: "away", Next: time.Second, Fleet: fleet, Queue: noTargetQueue()}); !ok || err != nil {
			t.Fatalf("%v, %v", ok, err)
		}
	}
	won := make(chan error, 4)
	for _, server := range fleet.Servers {
		go func() {
			_, err := f.attempt(job.ID, server, fleet)
			won <- err
		}()
	}
	taken := 0
	for range 4 {
		if err := <-won; err == nil {
			taken++
		} else if !errors.Is(err, ErrNotQueued) {
			t.Error(err)
		}
	}
	if taken != 1 {
		t.Errorf("%d servers were taken, want one", taken)
	}
}

func TestARetryWaitsForItsTimeAndACancelEndsIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	fleet := &cronium.Fleet{Servers: f.servers(t, 1), Strategy: cronium.StrategyAll}
	job, server := f.resolve(t, fleet), fleet.Servers[0]
	var queued []Released
	queue := noTargetQueue()
	queue.Targets = func(_ context.Context, _ pgx.Tx, _ cronium.Job, released []Released) error {
		queued = append(queued, released...)
		return nil
	}
	execution, err := f.attempt(job.ID, server, fleet)
	if err != nil {
		t.Fatal(err)
	}
	wait := time.Hour
	retry := func(e *TargetEnd) { e.Finish.Status, e.Retry, e.Queue = cronium.ExecutionFailure, &wait, queue }
	if err := f.end(job.ID, server, execution, fleet, retry); err != nil {
		t.Fatal(err)
	}
	if len(queued) != 1 || time.Until(queued[0].At) < 50*time.Minute || f.jobNow(t, job.ID).Status.Final() {
		t.Fatalf("queued %+v, job %+v", queued, f.jobNow(t, job.ID).Job)
	}
	if _, err := f.Cancel(f.ctx, f.workspace, job.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	if err := f.Settle(f.ctx, job.ID, fleet, noTargetQueue()); err != nil {
		t.Fatal(err)
	}
	if row := f.jobNow(t, job.ID); row.Result != cronium.ResultCancelled {
		t.Errorf("%+v", row.Job)
	}
	// And one whose script ends after the cancel is not tried again.
	late := f.resolve(t, fleet)
	if execution, err = f.attempt(late.ID, server, fleet); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Cancel(f.ctx, f.workspace, late.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	if err := f.end(late.ID, server, execution, fleet, retry); err != nil {
		t.Fatal(err)
	}
	if row := f.jobNow(t, late.ID); row.Result != cronium.ResultCancelled || len(queued) != 1 {
		t.Errorf("%+v", row.Job)
	}
}

// crowd is processes that work off the targets of jobs, whatever they find.
type crowd struct {
	*fixture
	fleets map[cronium.ID]*cronium.Fleet
	failed func(...any)
}

// work claims and ends targets at random until no job is open.
func (c *crowd) work(s *Store) {
	f := &fixture{Store: s, ctx: c.ctx, workspace: c.workspace, process: c.process}
	for {
		var job, server cronium.ID
		var open int
		if err := s.worker.QueryRow(c.ctx, `SELECT count(*) FROM jobs WHERE status NOT IN ('COMPLETED', 'FAILED', 'CANCELLED')`).Scan(&open); err != nil || open == 0 {
			return
		}
		err := s.worker.QueryRow(c.ctx, `SELECT job_id, server_id FROM job_targets WHERE status = 'QUEUED' ORDER BY random() LIMIT 1`).Scan(&job, &server)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err == nil {
			err = c.one(f, job, server)
		}
		if err != nil && !errors.Is(err, ErrNotQueued) {
			c.failed(err)
			return
		}
	}
}

func (c *crowd) one(f *fixture, job, server cronium.ID) error {
	fleet := c.fleets[job]
	execution, err := f.attempt(job, server, fleet)
	if err != nil {
		return err
	}
	started := Started{ExecutionID: execution, JobID: job, Owner: f.process}
	if rand.N(2) == 0 {
		err = f.Start(f.ctx, started)
	} else {
		_, err = f.StartWithOutput(f.ctx, started, Appended{}, []cronium.Chunk{{Data: []byte("x\n")}})
	}
	if err != nil {
		return err
	}
	if rand.N(40) == 0 {
		if _, err := f.Cancel(f.ctx, f.workspace, job, "bob"); err != nil {
			return err
		}
		if err := f.Settle(f.ctx, job, fleet, noTargetQueue()); err != nil {
			return err
		}
	}
	return f.end(job, server, execution, fleet, func(e *TargetEnd) {
		switch rand.N(6) {
		case 0:
			e.Finish.Status = cronium.ExecutionFailure
		case 1:
			wait := time.Duration(0)
			e.Finish.Status, e.Retry = cronium.ExecutionFailure, &wait
		}
	})
}

// watch looks for jobs with more open targets than may be.
func (c *crowd) watch(ctx context.Context) {
	for ctx.Err() == nil {
		rows, err := c.worker.Query(ctx, `SELECT job_id, count(*) FROM job_targets WHERE status IN ('QUEUED', 'RUNNING') GROUP BY job_id`)
		if err != nil {
			return
		}
		var job cronium.ID
		var n int
		_, _ = pgx.ForEachRow(rows, []any{&job, &n}, func() error { // ctx ends it
			if f := c.fleets[job]; f.Parallel > 0 && n > f.Parallel {
				c.failed(fmt.Sprintf("job of %s %d has %d targets at once", f.Strategy, f.Parallel, n))
			}
			return nil
		})
	}
}

// Many processes end the targets of many jobs at once: each job ends, its counts
// are those of its targets, none runs on more servers than it may, and nobody
// waits for a lock that waits for him.
func TestACrowdOfJobsOnServersEndsWithoutDeadlock(t *testing.T) {
	t.Parallel()
	url := testDatabase(t)
	f := fixtureOn(t, url)
	servers := f.servers(t, 15)
	c := &crowd{fixture: f, fleets: map[cronium.ID]*cronium.Fleet{}, failed: t.Error}
	for i := range 30 {
		fleet := &cronium.Fleet{Servers: servers, Strategy: cronium.Strategies[i%len(cronium.Strategies)], MaxFailures: 5, FailureUnit: cronium.FailureCount}
		if fleet.Strategy == cronium.StrategyParallel || fleet.Strategy == cronium.StrategyRolling {
			fleet.Parallel = 4
		}
		c.fleets[f.resolve(t, fleet).ID] = fleet
	}
	ctx, stop := context.WithCancel(t.Context())
	var watching, working sync.WaitGroup
	watching.Go(func() { c.watch(ctx) })
	for range 2 {
		process, err := Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer process.Close()
		for range 6 {
			working.Go(func() { c.work(process) })
		}
	}
	working.Wait()
	stop()
	watching.Wait()
	var wrong int
	err := f.worker.QueryRow(t.Context(), `
		SELECT count(*) FROM jobs j WHERE result = '' OR (targets_succeeded, targets_failed) <> (
			SELECT count(*) FILTER (WHERE status = 'SUCCESS'), count(*) FILTER (WHERE status IN ('FAILURE', 'TIMEOUT', 'CANCELLED', 'LOST'))
			FROM job_targets WHERE job_id = j.id)
		OR EXISTS (SELECT FROM job_targets WHERE job_id = j.id AND status IN ('WAITING', 'QUEUED', 'RUNNING'))`).Scan(&wrong)
	if err != nil || wrong != 0 {
		t.Errorf("%d jobs are not final or count wrong, %v", wrong, err)
	}
	t.Cleanup(func() { noDeadlocks(t, url) })
	f.Close()
}

// noDeadlocks asks the database, once nobody else is connected: only then it has
// counted.
func noDeadlocks(t *testing.T, url string) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var others, deadlocks int
	for others = 1; others > 0; {
		if err := conn.QueryRow(ctx, `SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()`).Scan(&others); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.QueryRow(ctx, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&deadlocks); err != nil || deadlocks != 0 {
		t.Errorf("%d deadlocks, %v", deadlocks, err)
	}
}

func TestATargetKeepsWhatItsServerWasWhenItBegan(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	fleet := &cronium.Fleet{Servers: f.servers(t, 1), Strategy: cronium.StrategyAll}
	server := fleet.Servers[0]
	job := f.resolve(t, fleet)
	f.exec(t, `UPDATE servers SET environment = 'prod' WHERE id = $1`, server)
	f.exec(t, `UPDATE server_states SET platform = 'Debian 12', arch = 'arm64', agent_version = '1', disk_total = 10, disk_used = 9 WHERE server_id = $1`, server)
	if target, err := f.Target(f.ctx, job.ID, server); err != nil || target.Host != nil {
		t.Errorf("before it began: %+v, %v", target, err)
	}
	execution, err := f.attempt(job.ID, server, fleet)
	if err != nil {
		t.Fatal(err)
	}
	f.exec(t, `UPDATE server_states SET platform = 'Debian 13', agent_version = '2' WHERE server_id = $1`, server)
	if err := f.end(job.ID, server, execution, fleet, nil); err != nil {
		t.Fatal(err)
	}
	want := cronium.TargetHost{Platform: "Debian 12", Arch: "arm64", AgentVersion: "1", Environment: "prod", DiskTotal: 10, DiskUsed: 9}
	if target, err := f.Target(f.ctx, job.ID, server); err != nil || target.Host == nil || *target.Host != want {
		t.Errorf("%+v, %v", target, err)
	}
}
