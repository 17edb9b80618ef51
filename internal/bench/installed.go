package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"cronium.dev/agent/dial"
	"cronium.dev/agent/tunnel"
	"cronium.dev/cronium"
)

func installedFigures() []figure {
	return []figure{
		{name: "start_installed", unit: "ms p99", goal: 20, measure: startInstalled},
		{name: "agents_reconnect", unit: "s", goal: 10, measure: agentsReconnect},
		{name: "agent_memory", unit: "KiB", goal: 100, measure: agentMemory},
	}
}

// code makes a code for so many agents.
func (s *site) code(ctx context.Context, uses int) (string, error) {
	var made struct{ Code string }
	err := s.Try(ctx, http.MethodPost, "/api/v1/agent-codes", nil, map[string]any{"uses": uses}, &made)
	return made.Code, err
}

// startInstalled is the time from the call "run" to the running script, on an
// agent that idles.
func startInstalled(ctx context.Context, m *machine) (float64, error) {
	const rounds, caches = 500, 20
	s, err := m.site(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
	server, stop, err := s.installAgent(ctx, filepath.Join(m.dir, "installed"))
	if err != nil {
		return 0, err
	}
	defer stop()
	event, err := s.CreateEvent(ctx, "installed", cronium.EventBash, onServer(server))
	if err != nil {
		return 0, err
	}
	db, err := s.database(ctx)
	if err != nil {
		return 0, err
	}
	defer db.Close(ctx)
	var took []float64
	for i := range rounds + caches {
		start := time.Now()
		var job struct{ ID cronium.ID }
		if err := s.Try(ctx, http.MethodPost, "/api/v1/events/"+event.String()+"/run", nil, struct{}{}, &job); err != nil {
			return 0, err
		}
		found, err := s.ended(ctx, job.ID)
		if err != nil {
			return 0, err
		}
		var started time.Time
		if err := db.QueryRow(ctx, `SELECT started_at FROM executions WHERE id = $1`, found.ID).Scan(&started); err != nil {
			return 0, err
		}
		if i >= caches {
			took = append(took, milliseconds(started.Sub(start)))
		}
	}
	fmt.Printf("  median %.1f ms, p90 %.1f ms\n", median(took), quantile(took, 0.9))
	return quantile(took, 0.99), nil
}

// onServer is a script that does nothing on one server.
func onServer(server cronium.ID) cronium.Content {
	content := cronium.NewContent(cronium.EventBash)
	content.Files[0].Content = ":\n"
	content.Target, content.On = cronium.TargetServers, &cronium.Fleet{Servers: []cronium.ID{server}}
	content.On.Complete()
	return content
}

// installAgent has a real agent join and run beside the server.
func (s *site) installAgent(ctx context.Context, state string) (cronium.ID, func(), error) {
	code, err := s.code(ctx, 1)
	if err != nil {
		return cronium.ID{}, nil, err
	}
	program := filepath.Join(string(s.Binaries), "cronium-agent")
	join := exec.CommandContext(ctx, program, "join", s.server.Address, "--state", state)
	join.Env = []string{"PATH=" + os.Getenv("PATH"), "CRONIUM_JOIN_CODE=" + code}
	if said, err := join.CombinedOutput(); err != nil {
		return cronium.ID{}, nil, fmt.Errorf("join: %w: %s", err, said)
	}
	identity, err := dial.Load(state)
	if err != nil {
		return cronium.ID{}, nil, err
	}
	run := exec.Command(program, "run", "--state", state)
	run.Env = []string{"PATH=" + os.Getenv("PATH")}
	if err := run.Start(); err != nil {
		return cronium.ID{}, nil, err
	}
	stop := func() {
		_ = run.Process.Signal(os.Interrupt) // it may have ended
		_ = run.Wait()
	}
	id, ok := cronium.ParseID(identity.Target())
	if !ok {
		stop()
		return id, nil, errors.New("the agent names no server")
	}
	if err := s.online(ctx, 1); err != nil {
		stop()
		return id, nil, err
	}
	return id, stop, nil
}

// online waits until so many agents are connected to the server's process.
func (s *site) online(ctx context.Context, count int) error {
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	defer db.Close(ctx)
	return until(ctx, func() (bool, error) {
		var n int
		err := db.QueryRow(ctx, `SELECT count(*) FROM server_states st JOIN processes p ON p.id = st.holder
			WHERE st.state = 'ONLINE' AND p.pid = $1 AND p.lease_until > now()`, s.server.PID).Scan(&n)
		return n >= count, err
	})
}

// crowdSize is how many agents the figures of many have.
const crowdSize = 1000

// crowd joins simulated agents, which connect once begin is called. Each is the
// dialling of a real agent with a service that runs nothing; see dialIn for every.
func (s *site) crowd(ctx context.Context, m *machine, every time.Duration) (begin func() (stop func()), err error) {
	text, err := s.code(ctx, crowdSize)
	if err != nil {
		return nil, err
	}
	code, err := tunnel.ParseCode(text)
	if err != nil {
		return nil, err
	}
	identities := make([]*dial.Identity, crowdSize)
	for i := range identities {
		dir := filepath.Join(m.dir, fmt.Sprintf("crowd%d-%d", m.count, i))
		if identities[i], err = dial.Join(ctx, dial.Joining{URL: s.server.Address, Code: code, Dir: dir, Version: "dev"}); err != nil {
			return nil, err
		}
	}
	return func() func() {
		var stops []func()
		for _, identity := range identities {
			stops = append(stops, dialIn(identity, every, m.log))
		}
		return func() {
			for _, stop := range stops {
				stop()
			}
		}
	}, nil
}

// agentsReconnect is the time from the moment that a server which was killed
// answers again until all agents are back.
func agentsReconnect(ctx context.Context, m *machine) (float64, error) {
	port, err := freePort()
	if err != nil {
		return 0, err
	}
	s, err := m.site(ctx, "--listen", "127.0.0.1:"+port)
	if err != nil {
		return 0, err
	}
	defer s.close()
	begin, err := s.crowd(ctx, m, 0)
	if err != nil {
		return 0, err
	}
	defer begin()()
	if err := s.online(ctx, crowdSize); err != nil {
		return 0, err
	}
	var took []float64
	for range 3 {
		if err := s.server.Kill(); err != nil {
			return 0, err
		}
		if s.server, err = s.Start(ctx); err != nil {
			return 0, err
		}
		start := time.Now()
		if err := s.online(ctx, crowdSize); err != nil {
			return 0, err
		}
		took = append(took, time.Since(start).Seconds())
	}
	return median(took), nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// agentMemory is how much a server grows with each agent that is connected and
// idles, its health watched.
func agentMemory(ctx context.Context, m *machine) (float64, error) {
	s, err := m.site(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
	begin, err := s.crowd(ctx, m, 0)
	if err != nil {
		return 0, err
	}
	if err := sleep(ctx, idleFor); err != nil {
		return 0, err
	}
	before, err := resident(s.server.PID)
	if err != nil {
		return 0, err
	}
	defer begin()()
	if err := s.online(ctx, crowdSize); err != nil {
		return 0, err
	}
	if err := sleep(ctx, 2*idleFor); err != nil {
		return 0, err
	}
	after, err := resident(s.server.PID)
	fmt.Printf("  %.0f MiB without, %.0f MiB with %d agents\n", before, after, crowdSize)
	return (after - before) * 1024 / crowdSize, err
}
