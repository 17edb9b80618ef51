package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/jobs"
	"cronium.dev/live"
	"cronium.dev/store"
)

func fleetFigures() []figure {
	return []figure{{name: "fleet_1000", unit: "ratio", goal: 3, measure: fleetRatio}}
}

// simulated is an agent that runs nothing: each script prints a line and
// succeeds at once. One of them answers on all connections.
type simulated struct {
	proto.UnimplementedAgentServer
}

func (simulated) Info(context.Context, *proto.InfoRequest) (*proto.InfoResponse, error) {
	return &proto.InfoResponse{Protocol: 1, Instance: "simulated"}, nil
}

func (simulated) Start(stream grpc.BidiStreamingServer[proto.StartRequest, proto.StartResponse]) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	return stream.Send(&proto.StartResponse{Part: &proto.StartResponse_Accepted{Accepted: &proto.ExecutionState{Phase: proto.Phase_PHASE_RUNNING}}})
}

func (simulated) Attach(stream grpc.BidiStreamingServer[proto.AttachRequest, proto.AttachResponse]) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	for _, m := range []*proto.AttachResponse{
		{Part: &proto.AttachResponse_Started{Started: &proto.Started{SetupUs: 1}}},
		{Part: &proto.AttachResponse_Output{Output: &proto.Output{Data: []byte("done\n")}}},
		{Part: &proto.AttachResponse_Finish{Finish: &proto.Finish{Outcome: proto.Outcome_OUTCOME_EXITED, OutputBytes: 5, RunUs: 1}}},
	} {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	_, err := stream.Recv() // until the client has what it wants
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}

func (simulated) Forget(context.Context, *proto.ForgetRequest) (*proto.ForgetResponse, error) {
	return &proto.ForgetResponse{}, nil
}

// agents is a backend of servers that have dialled in already.
type agents struct {
	links map[cronium.ID]*executor.Link
}

// connectAgents opens a TCP connection to a simulated agent for each server.
func connectAgents(ctx context.Context, servers []cronium.ID) (*agents, func(), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	server := grpc.NewServer()
	proto.RegisterAgentServer(server, simulated{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	a := &agents{links: map[cronium.ID]*executor.Link{}}
	stop := func() {
		for _, link := range a.links {
			link.Close()
		}
		server.Stop()
		<-served
	}
	for _, id := range servers {
		stream, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			a.links[id], err = executor.Connect(ctx, stream)
		}
		if err != nil {
			delete(a.links, id)
			stop()
			return nil, nil, err
		}
	}
	return a, stop, nil
}

func (a *agents) Holds(server cronium.ID) bool { return a.links[server] != nil }

func (a *agents) Held() []cronium.ID {
	held := make([]cronium.ID, 0, len(a.links))
	for id := range a.links {
		held = append(held, id)
	}
	return held
}

func (a *agents) Warm(executor.Spec) executor.Place { return nil }

func (a *agents) Create(_ context.Context, spec executor.Spec, _ func(string)) (executor.Place, error) {
	return &agentPlace{link: a.links[spec.ServerID], spec: spec}, nil
}

func (a *agents) Find(context.Context, string) (executor.Place, error) { return nil, executor.ErrGone }

type agentPlace struct {
	link *executor.Link
	spec executor.Spec
}

func (p *agentPlace) Ref() string {
	return p.spec.ServerID.String() + "/" + p.spec.ExecutionID.String() + "/simulated"
}
func (p *agentPlace) Warm() bool                             { return false }
func (p *agentPlace) TargetID() string                       { return p.spec.ServerID.String() }
func (p *agentPlace) Dial(context.Context) (net.Conn, error) { return nil, executor.ErrGone }
func (p *agentPlace) Link(context.Context) (*executor.Link, error) {
	return p.link.Share(func() {}), nil
}
func (p *agentPlace) Destroy(ctx context.Context) error {
	return executor.Forget(ctx, p, p.spec.ExecutionID)
}

// fleetRatio runs one event on 1,000 servers and compares the seconds until all
// have finished with those of a bare loop that asks the same agents, over the
// same connections, for the same: to start, to tell output and end, to forget.
func fleetRatio(ctx context.Context, m *machine) (float64, error) {
	const count, rounds = 1000, 5
	f, stop, err := newBenchFleet(ctx, m, count)
	if err != nil {
		return 0, err
	}
	defer stop()
	var ratios []float64
	for range rounds {
		ours, err := f.run(ctx)
		if err != nil {
			return 0, err
		}
		bare, calls, err := f.bare(ctx)
		if err != nil {
			return 0, err
		}
		fmt.Printf("  on %d servers %.2f s, bare loop %.2f s; %d calls that do nothing %.2f s\n", count, ours, bare, count, calls)
		ratios = append(ratios, ours/bare)
	}
	return median(ratios), nil
}

type benchFleet struct {
	engine  *jobs.Engine
	store   *store.Store
	agents  *agents
	request jobs.Request
}

func newBenchFleet(ctx context.Context, m *machine, count int) (*benchFleet, func(), error) {
	s, _, err := m.database(ctx)
	if err != nil {
		return nil, nil, err
	}
	f := &benchFleet{store: s}
	if f.request, err = seed(ctx, s, "bench"); err != nil {
		return nil, nil, err
	}
	event := &cronium.Event{Name: "Everywhere", Type: cronium.EventPython, Status: cronium.EventActive}
	content := cronium.NewContent(cronium.EventPython)
	content.Target, content.On = cronium.TargetServers, &cronium.Fleet{Selector: "name=host-*"}
	content.On.Complete()
	if err := s.CreateEvent(ctx, f.request.WorkspaceID, event, content, "", store.Author{ID: cronium.NewID(), Name: "bench"}); err != nil {
		return nil, nil, err
	}
	f.request.EventID = event.ID
	id := cronium.NewID()
	servers := make([]cronium.ID, count)
	for i := range servers {
		servers[i] = cronium.NewID()
	}
	_, err = s.WorkerPool().Exec(ctx, `
		WITH made AS (
			INSERT INTO servers (id, workspace_id, name, kind)
			SELECT id, $2, 'host-' || n, 'agent' FROM unnest($1::uuid[]) WITH ORDINALITY AS a (id, n) RETURNING id, workspace_id)
		INSERT INTO server_states (server_id, workspace_id, state, holder) SELECT id, workspace_id, 'ONLINE', $3 FROM made`, servers, f.request.WorkspaceID, id)
	if err != nil {
		return nil, nil, err
	}
	var disconnect func()
	if f.agents, disconnect, err = connectAgents(ctx, servers); err != nil {
		return nil, nil, err
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, err
	}
	hub := live.New(s.Pool(), m.log)
	hub.Start(ctx)
	f.engine, err = jobs.New(jobs.Config{ID: id, Store: s, Hub: hub, Key: key, Log: m.log, Version: "bench", MaxRuns: 16, MaxRemoteRuns: count,
		Backends: map[cronium.TargetKind]executor.Backend{cronium.TargetAgent: f.agents}})
	if err == nil {
		err = f.engine.Start(ctx)
	}
	stop := func() {
		if err := f.engine.Stop(context.WithoutCancel(ctx)); err != nil {
			m.log.Error("the engine did not stop", "error", err)
		}
		hub.Stop()
		disconnect()
		s.Close()
	}
	return f, stop, err
}

// run gives the seconds from the request to the end of the job on all servers.
func (f *benchFleet) run(ctx context.Context) (float64, error) {
	start := time.Now()
	job, err := f.engine.Enqueue(ctx, f.request)
	if err != nil {
		return 0, err
	}
	var row *store.JobRow
	err = until(ctx, func() (bool, error) {
		row, err = f.store.Job(ctx, job.WorkspaceID, job.ID)
		return err == nil && row.Status.Final(), err
	})
	if err == nil && row.Succeeded != len(f.agents.links) {
		err = fmt.Errorf("succeeded on %d of %d servers: %s", row.Succeeded, row.Targets, row.Error)
	}
	return row.FinishedAt.Sub(start).Seconds(), err
}

// bare gives the seconds of the loop, and of one that calls each agent once.
func (f *benchFleet) bare(ctx context.Context) (whole, calls float64, err error) {
	start := time.Now()
	for _, link := range f.agents.links {
		if err := bareRun(ctx, link.Client()); err != nil {
			return 0, 0, err
		}
	}
	whole = time.Since(start).Seconds()
	start = time.Now()
	for _, link := range f.agents.links {
		if _, err := link.Client().Info(ctx, &proto.InfoRequest{}); err != nil {
			return 0, 0, err
		}
	}
	return whole, time.Since(start).Seconds(), nil
}

func bareRun(ctx context.Context, agent proto.AgentClient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start, err := agent.Start(ctx)
	if err != nil {
		return err
	}
	_ = start.Send(&proto.StartRequest{Part: &proto.StartRequest_Manifest{Manifest: &proto.SignedManifest{Manifest: make([]byte, 500)}}}) // Recv tells why it failed
	if _, err := start.Recv(); err != nil {
		return err
	}
	attach, err := agent.Attach(ctx)
	if err != nil {
		return err
	}
	_ = attach.Send(&proto.AttachRequest{Part: &proto.AttachRequest_Open{Open: &proto.AttachOpen{}}}) // Recv tells why it failed
	for {
		m, err := attach.Recv()
		if err != nil {
			return err
		}
		if m.GetFinish() != nil {
			break
		}
	}
	_, err = agent.Forget(ctx, &proto.ForgetRequest{})
	return err
}
