package jobs

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/live"
)

// puppet is a target whose agent does what a test wants: what a script does
// that has put itself in the place of its agent.
type puppet struct {
	find func(ref string) error // nil: the place is there
	run  func(context.Context, executor.Run, executor.Sink) (*proto.Finish, error)
}

func (p puppet) Warm(executor.Spec) executor.Place { return puppetPlace{p} }
func (p puppet) Create(context.Context, executor.Spec, func(string)) (executor.Place, error) {
	return puppetPlace{p}, nil
}
func (p puppet) Find(_ context.Context, ref string) (executor.Place, error) {
	if p.find != nil {
		if err := p.find(ref); err != nil {
			return nil, err
		}
	}
	return puppetPlace{p}, nil
}

type puppetPlace struct{ puppet }

func (puppetPlace) Ref() string                            { return "puppet" }
func (puppetPlace) Warm() bool                             { return true }
func (puppetPlace) TargetID() string                       { return "puppet" }
func (puppetPlace) Dial(context.Context) (net.Conn, error) { return nil, executor.ErrGone }
func (puppetPlace) Destroy(context.Context) error          { return nil }
func (p puppetPlace) Run(ctx context.Context, run executor.Run, sink executor.Sink) (*proto.Finish, error) {
	return p.run(ctx, run, sink)
}

// startPuppet starts a server process whose containers are a puppet.
func (s *site) startPuppet(p executor.Backend) *Engine { return s.startPatient(p, 0) }

// startPatient is startPuppet with a patience; 0 = the usual one.
func (s *site) startPatient(p executor.Backend, patience time.Duration) *Engine {
	s.Helper()
	log := slog.New(slog.NewTextHandler(s.Output(), nil))
	hub := live.New(s.store.Pool(), log)
	engine, err := New(Config{ID: cronium.NewID(), Store: s.store, Hub: hub, Key: s.key, Log: log, Version: "test", MaxRuns: s.maxRuns, Patience: patience,
		Backends: map[cronium.TargetKind]executor.Backend{cronium.TargetContainer: p}})
	if err != nil {
		s.Fatal(err)
	}
	hub.Start(context.Background())
	if err := engine.Start(context.Background()); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := engine.Stop(context.Background()); err != nil {
			s.Error(err)
		}
		hub.Stop()
	})
	return engine
}

func TestOutputBeyondTheLimitIsNotStoredWhateverTheAgentSends(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const piece = 32 << 10
	p := s.startPuppet(puppet{run: func(ctx context.Context, _ executor.Run, sink executor.Sink) (*proto.Finish, error) {
		if err := sink.Started(ctx, math.MinInt64); err != nil {
			return nil, err
		}
		for range 2<<20/piece + 1 {
			record := &proto.Output{Stream: 7, AtUs: math.MaxInt64, Data: bytes.Repeat([]byte("x"), piece)}
			if _, err := sink.Output(ctx, []*proto.Output{record}); err != nil {
				return nil, err
			}
		}
		return &proto.Finish{Outcome: proto.Outcome_OUTCOME_EXITED, RunUs: math.MaxInt64, CpuUs: math.MinInt64, PeakMemoryBytes: -1,
			Output: []byte(`"` + strings.Repeat("x", maxOutput) + `"`)}, nil
	}})
	event := s.event(cronium.EventBash, "true", func(c *cronium.Content) { c.Limits.OutputMiB = 1 })
	job, err := p.Enqueue(t.Context(), Request{WorkspaceID: s.workspace, EventID: event, Trigger: cronium.TriggerManual})
	if err != nil {
		t.Fatal(err)
	}
	row := s.final(job.ID)
	e := s.executions(job.ID)[0]
	if e.OutputBytes != 1<<20 || e.OutputDropped != 1<<20+piece {
		t.Errorf("%d bytes are stored and %d were dropped, want 1 MiB and the rest", e.OutputBytes, e.OutputDropped)
	}
	chunks, err := s.store.Output(t.Context(), s.workspace, e.ID, 0, 1<<16)
	if err != nil || len(chunks) == 0 || chunks[0].At > 10*time.Minute || chunks[0].Stream != cronium.Stdout {
		t.Errorf("the first of %d chunks is not sane, %v", len(chunks), err)
	}
	if e.Setup < 0 || e.Run <= 0 || e.CPU != 0 || e.PeakMemory != 0 {
		t.Errorf("figures that cannot be were stored: %+v", e)
	}
	if row.Output != nil || !strings.Contains(row.Error, "longer than 3 MiB") {
		t.Errorf("the result has %d bytes, error %q; want none and the reason", len(row.Output), row.Error)
	}
}

func TestOutputThatComesWithTheEndIsStoredWithinTheLimit(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]int{"short": 10, "long": 2 * lastBytes, "beyond": 2 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			p := s.startPuppet(puppet{run: func(ctx context.Context, _ executor.Run, sink executor.Sink) (*proto.Finish, error) {
				if _, err := sink.Output(ctx, []*proto.Output{{Data: []byte("first\n")}}); err != nil {
					return nil, err
				}
				return &proto.Finish{Outcome: proto.Outcome_OUTCOME_EXITED}, sink.Last(ctx, []*proto.Output{{Data: bytes.Repeat([]byte("x"), last)}})
			}})
			event := s.event(cronium.EventBash, "true", func(c *cronium.Content) { c.Limits.OutputMiB = 1 })
			job, err := p.Enqueue(t.Context(), Request{WorkspaceID: s.workspace, EventID: event, Trigger: cronium.TriggerManual})
			if err != nil {
				t.Fatal(err)
			}
			row := s.final(job.ID)
			e := s.executions(job.ID)[0]
			want := min(6+int64(last), 1<<20)
			if row.Result != cronium.ResultSuccess || e.OutputBytes != want || e.OutputDropped != 6+int64(last)-want || int64(len(s.output(e.ID))) != want {
				t.Errorf("%d bytes are stored and %d dropped, want %d stored; %s", e.OutputBytes, e.OutputDropped, want, row.Result)
			}
		})
	}
}
