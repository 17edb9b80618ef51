package main

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"cronium.dev/agent/dial"
	"cronium.dev/agent/proto"
)

// dialled is a simulated agent that dials in as one server.
type dialled struct {
	simulated
	target string
	every  time.Duration // between two samples of its health; 0: there is one
}

func (d dialled) Info(context.Context, *proto.InfoRequest) (*proto.InfoResponse, error) {
	return &proto.InfoResponse{Protocol: 1, Version: "dev", Instance: d.target, Target: d.target, Os: "linux", Arch: "amd64", Hostname: "simulated"}, nil
}

// Health tells the same once, and again each time that is said.
func (d dialled) Health(_ *proto.HealthRequest, stream grpc.ServerStreamingServer[proto.HealthSample]) error {
	var again <-chan time.Time
	if d.every > 0 {
		tick := time.NewTicker(d.every)
		defer tick.Stop()
		again = tick.C
	}
	for {
		if err := stream.Send(&proto.HealthSample{Cpus: 1, MemoryTotal: 1 << 30, MemoryAvailable: 1 << 29}); err != nil {
			return err
		}
		select {
		case <-again:
		case <-stream.Context().Done():
			return nil
		}
	}
}

// List has nothing.
func (d dialled) List(context.Context, *proto.ListRequest) (*proto.ListResponse, error) {
	return &proto.ListResponse{}, nil
}

// dialIn keeps a simulated agent connected until stop is called; it tells its
// health so often, or once with 0.
func dialIn(identity *dial.Identity, every time.Duration, log *slog.Logger) (stop func()) {
	quiet := slog.New(slog.DiscardHandler)
	listener := dial.NewListener(identity, "dev", quiet)
	server := grpc.NewServer(grpc.ReadBufferSize(4<<10), grpc.WriteBufferSize(4<<10),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}))
	proto.RegisterAgentServer(server, dialled{target: identity.Target(), every: every})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return func() {
		server.Stop()
		if err := <-served; err != nil {
			log.Error("a simulated agent ended", "error", err)
		}
	}
}
