package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"cronium.dev/calls"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/container"
	"cronium.dev/executor/installed"
	"cronium.dev/executor/process"
	"cronium.dev/executor/ssh"
	"cronium.dev/jobs"
	"cronium.dev/live"
	"cronium.dev/secrets"
	"cronium.dev/store"
	"cronium.dev/watch"
)

// targets are where executions of this process run.
type targets struct {
	process    cronium.ID // this server process
	containers *container.Backend
	agents     *installed.Backend
	servers    *ssh.Backend
	local      *process.Backend // nil: switched off
}

func (c *serveCommand) targets(ctx context.Context, s *store.Store, hub *live.Hub, box *secrets.Box, key ed25519.PrivateKey, log *slog.Logger) (*targets, error) {
	agent, err := c.agentFile()
	if err != nil {
		return nil, err
	}
	instance, err := instanceName(ctx, s)
	if err != nil {
		return nil, err
	}
	t := &targets{process: cronium.NewID()}
	first := cronium.NewContent(cronium.EventPython)
	public := key.Public().(ed25519.PublicKey)
	t.containers, err = container.New(container.Config{
		Host: c.Engine, Instance: instance, Process: t.process.String(), Image: c.Image, Agent: agent, Key: public,
		PoolSize: c.Pool, Prewarm: executor.Spec{Network: first.Network, Limits: first.Limits}, DNS: c.DNS, Log: log,
	})
	if err != nil {
		return nil, err
	}
	if t.agents, err = c.installedAgents(s, hub, key, t.process, log); err != nil {
		return nil, err
	}
	if c.ProcessTarget {
		log.Warn("the process target is on: scripts run on this machine without isolation")
		if t.local, err = process.New(process.Config{Agent: agent, Dir: filepath.Join(c.Data, "process"), Key: public, Log: log}); err != nil {
			return nil, err
		}
	}
	t.servers, err = c.sshServers(s, hub, box, public, log)
	return t, err
}

// sshServers reaches servers over SSH.
func (c *serveCommand) sshServers(s *store.Store, hub *live.Hub, box *secrets.Box, key ed25519.PublicKey, log *slog.Logger) (*ssh.Backend, error) {
	binaries, err := c.agentFiles()
	if err != nil {
		return nil, err
	}
	blocked := func(server *cronium.Server) {
		log.Warn("a server shows a key that nobody has confirmed", "server", server.ID, "name", server.Name)
		hub.Publish(live.ServersTopic(server.WorkspaceID))
	}
	return ssh.New(ssh.Config{Servers: &ssh.Stored{Servers: s, Box: box, Blocked: blocked}, Agents: binaries, Key: key, Log: log})
}

// agentFiles are the agent's binaries by architecture, as far as they are there.
func (c *serveCommand) agentFiles() (map[string]string, error) {
	agent, err := c.agentFile()
	if err != nil {
		return nil, err
	}
	files := map[string]string{runtime.GOARCH: agent}
	for _, arch := range []string{"amd64", "arm64"} {
		path := agent + "-linux-" + arch
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || arch == runtime.GOARCH {
			continue
		}
		files[arch] = path
	}
	return files, nil
}

// engine wires the life of jobs.
func (t *targets) engine(c *serveCommand, s *store.Store, hub *live.Hub, box *secrets.Box, key ed25519.PrivateKey, address string, log *slog.Logger) (*jobs.Engine, error) {
	backends := map[cronium.TargetKind]executor.Backend{cronium.TargetContainer: t.containers, cronium.TargetAgent: t.agents, cronium.TargetSSH: t.servers}
	if t.local != nil {
		backends[cronium.TargetProcess] = t.local
	}
	return jobs.New(jobs.Config{
		ID: t.process, Store: s, Hub: hub, Backends: backends, Key: key, Log: log, Version: version, Address: address,
		Calls: calls.New(calls.Config{Store: s, Box: box, Changed: func(job cronium.ID) { hub.Publish(live.JobTopic(job)) }}), Box: box, MaxRuns: c.MaxRuns, MaxRemoteRuns: c.MaxRemoteRuns, LockDir: filepath.Join(c.Data, "processes"),
	})
}

// run does what targets need in the background until work ends.
func (t *targets) run(work context.Context, background *sync.WaitGroup, s *store.Store, hub *live.Hub, log *slog.Logger) {
	background.Go(func() { t.containers.Run(work) })
	background.Go(func() { runAgents(work, t.agents, hub) })
	servers := watch.New(watch.Config{
		Process: t.process, Registry: s, Publish: hub.Publish, Log: log,
		Agents: map[cronium.ServerKind]func(context.Context, cronium.ID) (*executor.Link, error){
			cronium.ServerSSH:   func(ctx context.Context, id cronium.ID) (*executor.Link, error) { return t.servers.Agent(ctx, id, "") },
			cronium.ServerAgent: func(ctx context.Context, id cronium.ID) (*executor.Link, error) { return t.agents.Agent(ctx, id) },
		},
	})
	background.Go(func() { servers.Run(work) })
}
