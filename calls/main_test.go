package calls

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
	"cronium.dev/executor/container"
	"cronium.dev/internal/testenv"
	"cronium.dev/jobs"
	"cronium.dev/live"
	"cronium.dev/secrets"
	"cronium.dev/store"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// site is a database with one workspace and one event, and the answers to its
// scripts.
type site struct {
	*testing.T
	*Calls
	workspace cronium.ID
	event     cronium.ID
	of        jobs.CallOf  // the next call
	stop      func()       // ends the engine
	log       bytes.Buffer // of the engine, whose handler writes line by line; read once it has ended
}

func newSite(t *testing.T) *site {
	t.Helper()
	s, err := store.Open(t.Context(), testenv.Database(t, store.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	w := &cronium.Workspace{ID: cronium.NewID(), Slug: "test", Name: "Test"}
	if err := s.AddWorkspace(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	master, err := secrets.LoadMaster(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.InitMasterKey(t.Context(), master.Newest()); err != nil {
		t.Fatal(err)
	}
	site := &site{T: t, Calls: New(Config{Store: s, Box: secrets.NewBox(s, master)}), workspace: w.ID}
	site.event = site.newEvent(cronium.EventBash, "true")
	site.of = site.execution()
	return site
}

func (s *site) newEvent(kind cronium.EventType, script string) cronium.ID {
	s.Helper()
	content := cronium.NewContent(kind)
	content.Network, content.Files[0].Content = cronium.NetworkNone, script
	e := &cronium.Event{Name: "event " + cronium.NewID().String(), Type: kind, Status: cronium.EventActive}
	if err := s.Store.CreateEvent(s.Context(), s.workspace, e, content, "", store.Author{ID: cronium.NewID(), Name: "ann"}); err != nil {
		s.Fatal(err)
	}
	return e.ID
}

// execution is one that has made no call yet.
func (s *site) execution() jobs.CallOf {
	return jobs.CallOf{WorkspaceID: s.workspace, EventID: s.event, EventName: "nightly", JobID: cronium.NewID(), ExecutionID: cronium.NewID(),
		Hidden: secrets.NewHidden(secrets.NewMask())}
}

// ask makes the site's next call and gives the answer, or the error's code.
func (s *site) ask(method, params string) string {
	s.Helper()
	s.of.Number++
	return s.askAs(s.of, method, params)
}

func (s *site) askAs(of jobs.CallOf, method, params string) string {
	s.Helper()
	answer, err := s.Call(s.Context(), of, "variable."+method, json.RawMessage(params))
	if code := cronium.CodeOf(err); err != nil && code != cronium.CodeInternal {
		return string(code)
	}
	if err != nil {
		s.Fatalf("%s %s: %v", method, params, err)
	}
	return string(answer)
}

// wants asks and compares.
func (s *site) wants(method, params, want string) {
	s.Helper()
	if got := s.ask(method, params); got != want {
		s.Errorf("%s %s gives %s, want %s", method, params, got, want)
	}
}

// secret makes a secret of the workspace.
func (s *site) secret(key, environment, value string, events ...cronium.ID) *cronium.WorkspaceVariable {
	s.Helper()
	v := &cronium.WorkspaceVariable{ID: cronium.NewID(), WorkspaceID: s.workspace, Key: key, Environment: environment, Type: cronium.VariableString,
		Secret: true, Size: len(value), AllEvents: len(events) == 0, UpdatedBy: "ann"}
	var err error
	if v.DataKey, v.Sealed, err = s.Box.Seal(s.Context(), s.workspace, secrets.PurposeVariable, v.ID, []byte(value)); err != nil {
		s.Fatal(err)
	}
	if err := s.Store.CreateVariable(s.Context(), v, events); err != nil {
		s.Fatal(err)
	}
	return v
}

// engine runs jobs in containers until the test ends.
func (s *site) engine(runs int) *jobs.Engine {
	s.Helper()
	agent, err := conformance.Agent(s.TempDir())
	if err != nil {
		s.Fatal(err)
	}
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		s.Fatal(err)
	}
	id := cronium.NewID()
	log := slog.New(slog.NewTextHandler(io.MultiWriter(s.Output(), &s.log), &slog.HandlerOptions{Level: slog.LevelDebug}))
	backend, err := container.New(container.Config{Host: testenv.Engine(s), Instance: cronium.NewID().String(), Process: id.String(),
		Image: testenv.RuntimeImage, Agent: agent, Key: public, Log: log})
	if err != nil {
		s.Fatal(err)
	}
	hub := live.New(s.Store.Pool(), log)
	engine, err := jobs.New(jobs.Config{ID: id, Store: s.Store, Hub: hub, Key: key, Log: log, Version: "test", MaxRuns: runs, Calls: s.Calls, Box: s.Box,
		Backends: map[cronium.TargetKind]executor.Backend{cronium.TargetContainer: backend}})
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	hub.Start(ctx)
	if err := engine.Start(ctx); err != nil {
		s.Fatal(err)
	}
	s.stop = sync.OnceFunc(func() {
		if err := engine.Stop(context.Background()); err != nil {
			s.Error(err)
		}
		cancel()
		hub.Stop()
	})
	s.Cleanup(func() {
		s.stop()
		none := func(string) bool { return false }
		if _, err := backend.Sweep(context.Background(), none, none); err != nil {
			s.Error(err)
		}
	})
	return engine
}

// run accepts a job.
func (s *site) run(engine *jobs.Engine, event cronium.ID) cronium.ID {
	s.Helper()
	job, err := engine.Enqueue(s.Context(), jobs.Request{WorkspaceID: s.workspace, EventID: event, Trigger: cronium.TriggerManual, TriggeredBy: "ann"})
	if err != nil {
		s.Fatal(err)
	}
	return job.ID
}

// final waits for a job's end and gives what it printed.
func (s *site) final(job cronium.ID) (*store.JobRow, string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 90*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		row, err := s.Store.Job(ctx, s.workspace, job)
		if err != nil {
			s.Fatalf("waiting for the end of job %s: %v", job, err)
		}
		if row.Status.Final() {
			return row, s.printed(job)
		}
		<-tick.C
	}
}

func (s *site) printed(job cronium.ID) string {
	s.Helper()
	executions, err := s.Store.Executions(s.Context(), s.workspace, job)
	if err != nil {
		s.Fatal(err)
	}
	var text strings.Builder
	chunks, err := s.Store.OutputAfter(s.Context(), s.workspace, executions[0].ID, 0, 0, 1<<20)
	for _, c := range chunks {
		text.Write(c.Data)
	}
	if err != nil {
		s.Fatal(err)
	}
	return text.String()
}
