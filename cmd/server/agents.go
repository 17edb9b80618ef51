package main

import (
	"context"
	"crypto/ed25519"
	"log/slog"

	"cronium.dev/cronium"
	"cronium.dev/executor/installed"
	"cronium.dev/live"
	"cronium.dev/store"
)

// installedAgents takes the agents that dial in to the process.
func (c *serveCommand) installedAgents(s *store.Store, hub *live.Hub, key ed25519.PrivateKey, process cronium.ID, log *slog.Logger) (*installed.Backend, error) {
	binaries, err := c.agentFiles()
	if err != nil {
		return nil, err
	}
	return installed.New(installed.Config{
		Registry: s, Updates: s, Tries: s, Process: process, Key: key, Log: log, Version: version,
		Binaries: binaries,
		Changed:  func(workspace cronium.ID) { hub.Publish(live.ServersTopic(workspace)) },
	})
}

// runAgents keeps their connections in agreement with the database until work
// ends.
func runAgents(work context.Context, agents *installed.Backend, hub *live.Hub) {
	keys := hub.Subscribe(live.AgentsTopic)
	defer keys.Close()
	agents.Run(work, keys.C())
	agents.Close()
}
