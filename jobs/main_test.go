package jobs

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
	"cronium.dev/executor/container"
	"cronium.dev/internal/testenv"
	"cronium.dev/live"
	"cronium.dev/secrets"
	"cronium.dev/store"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// agent is built once for all tests.
var agent struct {
	once sync.Once
	file string
	err  error
}

func agentFile(t *testing.T) string {
	t.Helper()
	agent.once.Do(func() {
		dir, err := os.MkdirTemp("", "cronium-agent-")
		if err != nil {
			agent.err = err
			return
		}
		testenv.AtEnd(t, func() { os.RemoveAll(dir) })
		agent.file, agent.err = conformance.Agent(dir)
	})
	if agent.err != nil {
		t.Fatal(agent.err)
	}
	return agent.file
}

// site is one installation: a database, a key, a workspace. Server processes
// come and go.
type site struct {
	*testing.T
	store     *store.Store
	key       ed25519.PrivateKey
	workspace cronium.ID
	instance  string
	maxRuns   int // of each server
	calls     Caller
	master    *secrets.Master
	box       *secrets.Box // nil: servers know no secrets
}

// withSecrets gives the site keys for secrets.
func (s *site) withSecrets() *site {
	s.Helper()
	master, err := secrets.LoadMaster(s.TempDir())
	if err != nil {
		s.Fatal(err)
	}
	if _, err := s.store.InitMasterKey(s.Context(), master.Newest()); err != nil {
		s.Fatal(err)
	}
	s.master, s.box = master, secrets.NewBox(s.store, master)
	return s
}

func newSite(t *testing.T) *site {
	t.Helper()
	s, err := store.Open(t.Context(), testenv.Database(t, store.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &cronium.Workspace{ID: cronium.NewID(), Slug: "test", Name: "Test"}
	if err := s.AddWorkspace(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	return &site{T: t, store: s, key: key, workspace: w.ID, instance: cronium.NewID().String(), maxRuns: 8}
}

// server is one server process of a site, without its pages.
type server struct {
	*Engine
	backend *container.Backend
	stop    func() // gracefully; once
	crash   func() // as if killed: nothing is handed over; once
}

// start starts a server process. pool is how many containers it keeps ready.
func (s *site) start(pool int) *server {
	s.Helper()
	return s.startOn(testenv.Engine(s), pool)
}

// startOn is start with the container engine at an address.
func (s *site) startOn(engineHost string, pool int) *server {
	s.Helper()
	id := cronium.NewID()
	log := slog.New(slog.NewTextHandler(s.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	first := cronium.NewContent(cronium.EventPython)
	first.Network = cronium.NetworkNone
	backend, err := container.New(container.Config{
		Host: engineHost, Instance: s.instance, Process: id.String(), Image: testenv.RuntimeImage, Agent: agentFile(s.T),
		Key: s.key.Public().(ed25519.PublicKey), PoolSize: pool, Prewarm: executor.Spec{Network: first.Network, Limits: first.Limits}, Log: log,
	})
	if err != nil {
		s.Fatal(err)
	}
	hub := live.New(s.store.Pool(), log)
	engine, err := New(Config{ID: id, Store: s.store, Hub: hub, Key: s.key, Log: log, Version: "test", MaxRuns: s.maxRuns, Calls: s.calls, Box: s.box,
		Backends: map[cronium.TargetKind]executor.Backend{cronium.TargetContainer: backend}, LockDir: s.TempDir()})
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	hub.Start(ctx)
	if err := engine.Start(ctx); err != nil {
		s.Fatal(err)
	}
	var pooling sync.WaitGroup
	pooling.Go(func() { backend.Run(ctx) })
	p := &server{Engine: engine, backend: backend}
	end := func(last func()) func() {
		var once sync.Once
		return func() {
			once.Do(func() {
				last()
				p.stop, p.crash = func() {}, func() {}
				cancel()
				hub.Stop()
				pooling.Wait()
			})
		}
	}
	p.stop = end(func() {
		if err := engine.Stop(context.Background()); err != nil {
			s.Error(err)
		}
	})
	p.crash = end(func() {
		engine.end()
		if err := engine.queue.StopAndCancel(context.Background()); err != nil {
			s.Error(err)
		}
		engine.loops.Wait()
		if err := s.store.EndLease(context.Background(), id); err != nil {
			s.Error(err)
		}
	})
	s.Cleanup(func() {
		p.stop()
		// What tests left running is removed with them.
		_, err := backend.Sweep(context.Background(), func(string) bool { return false }, func(string) bool { return false })
		if err != nil && !errors.Is(err, executor.ErrUnavailable) {
			s.Error(err)
		}
	})
	return p
}

// event makes an active event of one script; change may alter its content.
func (s *site) event(t cronium.EventType, script string, change func(*cronium.Content)) cronium.ID {
	s.Helper()
	content := cronium.NewContent(t)
	content.Network = cronium.NetworkNone
	content.Files[0].Content = script
	if change != nil {
		change(&content)
	}
	e := &cronium.Event{Name: "event " + cronium.NewID().String(), Type: t, Status: cronium.EventActive}
	if err := s.store.CreateEvent(s.Context(), s.workspace, e, content, "", store.Author{ID: cronium.NewID(), Name: "ann"}); err != nil {
		s.Fatal(err)
	}
	return e.ID
}

func (s *site) run(p *server, event cronium.ID, input string) *cronium.Job {
	s.Helper()
	job, err := p.Enqueue(s.Context(), Request{WorkspaceID: s.workspace, EventID: event, Trigger: cronium.TriggerManual, TriggeredBy: "ann", Input: json.RawMessage(input)})
	if err != nil {
		s.Fatal(err)
	}
	return job
}

// eventually waits for a condition on a job and returns the job.
func (s *site) eventually(id cronium.ID, what string, ok func(*store.JobRow) bool) *store.JobRow {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 90*time.Second)
	defer cancel()
	for {
		job, err := s.store.Job(ctx, s.workspace, id)
		if err != nil {
			s.Fatalf("waiting for %s: %v", what, err)
		}
		if ok(job) {
			return job
		}
		if !pause(ctx, 20*time.Millisecond) {
			executions, _ := s.store.Executions(context.Background(), s.workspace, id)
			s.Fatalf("never came: %s; job %+v, executions %+v", what, job.Job, executions)
		}
	}
}

func (s *site) final(id cronium.ID) *store.JobRow {
	s.Helper()
	return s.eventually(id, "a final state", func(j *store.JobRow) bool { return j.Status.Final() })
}

func (s *site) executions(job cronium.ID) []cronium.Execution {
	s.Helper()
	executions, err := s.store.Executions(s.Context(), s.workspace, job)
	if err != nil {
		s.Fatal(err)
	}
	return executions
}

// output is all that an execution printed, both streams together.
func (s *site) output(execution cronium.ID) string {
	s.Helper()
	var all []byte
	for {
		chunks, err := s.store.OutputAfter(s.Context(), s.workspace, execution, 0, int64(len(all)), 1<<20)
		if err != nil {
			s.Fatal(err)
		}
		if len(chunks) == 0 {
			return string(all)
		}
		for _, c := range chunks {
			if c.Offset != int64(len(all)) {
				s.Fatalf("output at %d follows %d bytes", c.Offset, len(all))
			}
			all = append(all, c.Data...)
		}
	}
}

// printed waits until an execution's stored output holds a text.
func (s *site) printed(job cronium.ID, text string) cronium.Execution {
	s.Helper()
	var found cronium.Execution
	s.eventually(job, "output with "+text, func(*store.JobRow) bool {
		executions := s.executions(job)
		if len(executions) == 0 {
			return false
		}
		found = executions[len(executions)-1]
		return containsLine(s.output(found.ID), text)
	})
	return found
}

// noQueue stores a job without an entry in the queue.
func noQueue(context.Context, pgx.Tx) error { return nil }
