package jobs

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/live"
	"cronium.dev/secrets"
	"cronium.dev/store"
)

// Config is what an Engine works with. All fields without a stated default must
// be set.
type Config struct {
	ID            cronium.ID // of this server process
	Store         *store.Store
	Hub           *live.Hub
	Backends      map[cronium.TargetKind]executor.Backend
	Key           ed25519.PrivateKey // signs manifests
	Log           *slog.Logger
	Calls         Caller       // answers scripts; nil: each call is one that is not known
	Box           *secrets.Box // opens the secrets that are masked in output; nil: there are none
	Version       string
	Address       string // how other processes reach this one, a URL; "" where they cannot
	MaxRuns       int    // executions of a kind of target of this machine at once in this process
	MaxRemoteRuns int    // executions at once over SSH, and as many on agents that dial in
	// Patience is how long after its last limit an execution may be without an
	// end before it is given up as LOST; 0 = 10 minutes.
	Patience time.Duration
	LockDir  string // where processes of this machine hold a lock while they live; "" = none
}

// Engine runs jobs. Enqueue and Cancel may be called from when New returns;
// nothing runs before Start.
type Engine struct {
	Config
	id      cronium.ID // of this process
	queue   *river.Client[pgx.Tx]
	queues  []string // that this process fetches from
	turns   *turns
	crowded crowded
	content *contents
	masks   *masks
	metrics *metrics
	lock    *processLock

	tenure tenure // of the lease

	mu   sync.Mutex
	runs map[cronium.ID]*run // by execution

	ctx   context.Context // of runs and loops; ends at Stop
	end   context.CancelFunc
	loops sync.WaitGroup
	tidy  sync.WaitGroup // places that are being destroyed
}

// New prepares an engine.
func New(config Config) (*Engine, error) {
	e := &Engine{
		Config: config, id: config.ID, content: newContents(config.Store), metrics: newMetrics(),
		turns: newTurns(), masks: newMasks(config), runs: map[cronium.ID]*run{},
	}
	if e.Patience == 0 {
		e.Patience = 10 * time.Minute
	}
	e.ctx, e.end = context.WithCancel(context.Background())
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{engine: e})
	queues := map[string]river.QueueConfig{}
	for name, most := range queueSizes(config) {
		queues[name] = river.QueueConfig{MaxWorkers: most}
		e.queues = append(e.queues, name)
	}
	queue, err := river.NewClient(riverpgxv5.New(config.Store.Pool()), &river.Config{
		ID:                          e.id.String(),
		Queues:                      queues,
		Workers:                     workers,
		Logger:                      slog.New(quiet{config.Log.Handler()}),
		JobTimeout:                  -1,
		FetchCooldown:               2 * time.Millisecond,
		FetchPollInterval:           500 * time.Millisecond, // should a notification be lost
		CompletedJobRetentionPeriod: 10 * time.Minute,
		MaxAttempts:                 1000,
		RetryPolicy:                 retryPolicy{},
		Hooks:                       []rivertype.Hook{e.turns},
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the queue: %w", err)
	}
	e.queue = queue
	e.Store.OnRelease(e.requeueJob)
	return e, nil
}

// Start registers this process and begins to work. It returns at once.
func (e *Engine) Start(ctx context.Context) error {
	if e.LockDir != "" {
		lock, err := newProcessLock(e.LockDir, e.id)
		if err != nil {
			return err
		}
		e.lock = lock
	}
	if err := e.Store.RenewLease(ctx, e.process()); err != nil {
		return err
	}
	if err := e.syncTurns(ctx); err != nil {
		return err
	}
	for _, loop := range []func(context.Context){e.keepLease, e.adoptLoop, e.fireSchedules, e.followEnds, e.watchCancels, e.sweepLoop, e.keepTurns} {
		e.loops.Go(func() { loop(e.ctx) })
	}
	if err := e.queue.Start(ctx); err != nil {
		return fmt.Errorf("start the queue: %w", err)
	}
	return nil
}

// ID names this process: the owner of its executions.
func (e *Engine) ID() cronium.ID { return e.id }

func (e *Engine) process() store.Process {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return store.Process{ID: e.id, Hostname: host, PID: os.Getpid(), Version: e.Version, Address: e.Address}
}

// Stop hands over what runs and ends: no script is stopped. It fetches nothing
// more, finishes writes that are under way, gives up its executions so that
// others adopt them at once, and returns. ctx bounds the wait.
func (e *Engine) Stop(ctx context.Context) error {
	stopped := make(chan error, 1)
	go func() { stopped <- e.queue.Stop(ctx) }()
	e.end()
	err := <-stopped
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("wait for the queue to stop: %w", err)
	}
	e.loops.Wait()
	e.tidy.Wait()
	if n, handErr := e.Store.HandOver(ctx, e.id); handErr != nil {
		err = errors.Join(err, handErr)
	} else if n > 0 {
		e.Log.Info("handed over running executions", "count", n)
	}
	err = errors.Join(err, e.Store.EndLease(ctx, e.id))
	if e.lock != nil {
		e.lock.release()
	}
	return err
}

// Status is what the Settings page and the metrics show of this process.
type Status struct {
	ProcessID     cronium.ID
	MaxRuns       int
	Running       int // on this machine
	RunningRemote int // on servers, and those that are being reached
}

// Status tells how busy this process is.
func (e *Engine) Status() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	status := Status{ProcessID: e.id, MaxRuns: e.MaxRuns}
	for _, r := range e.runs {
		if r.execution.ServerID == nil {
			status.Running++
		} else {
			status.RunningRemote++
		}
	}
	return status
}

// add registers a run before its claim is stored, so that no sweep takes it for
// one that nobody drives. It tells false for an execution that has a run.
func (e *Engine) add(r *run) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.runs[r.execution.ID] != nil {
		return false
	}
	e.runs[r.execution.ID] = r
	return true
}

func (e *Engine) remove(r *run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.runs, r.execution.ID)
}

func (e *Engine) driven() []cronium.ID {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make([]cronium.ID, 0, len(e.runs))
	for id := range e.runs {
		ids = append(ids, id)
	}
	return ids
}

// quiet passes on only what an operator must see of the queue's own messages.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler         { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler               { return quiet{q.Handler.WithGroup(name)} }
