package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/files"
	"cronium.dev/secrets"
	"cronium.dev/store"
	"cronium.dev/terminal"
)

// terminals joins people to shells on the servers that this process reaches, and
// in containers of its engine.
func (t *targets) terminals(s *store.Store, box *secrets.Box, key ed25519.PrivateKey, log *slog.Logger) *terminal.Service {
	return terminal.New(terminal.Config{
		Store: s, Secrets: box, Key: key, Log: log, Containers: t.containers,
		Agent: func(ctx context.Context, one *cronium.Terminal) (*executor.Link, string, error) {
			if one.ServerID == nil {
				return nil, "", cronium.Errorf(cronium.CodeConflict, "The server of this terminal was deleted.")
			}
			server, err := s.Server(ctx, one.WorkspaceID, *one.ServerID)
			if err != nil {
				return nil, "", err
			}
			return t.agent(ctx, server)
		},
	})
}

// files moves files to and from servers.
func (t *targets) files(key ed25519.PrivateKey) *files.Service {
	return files.New(files.Config{Key: key, Agent: t.agent})
}

// agent connects to the agent of a server that people work on, and gives the
// target that what is signed for it must name. Another agent that answers in its
// place gets nothing signed.
func (t *targets) agent(ctx context.Context, server *cronium.Server) (*executor.Link, string, error) {
	if server.ArchivedAt != nil {
		return nil, "", cronium.Errorf(cronium.CodeConflict, "The server is archived. Take it back into use first.")
	}
	var link *executor.Link
	var err error
	target := server.ID.String()
	switch server.Kind {
	case cronium.ServerAgent:
		link, err = t.agents.Reach(ctx, server.ID)
	default:
		target = "server-" + target
		link, err = t.servers.Agent(ctx, server.ID, "")
	}
	if err != nil {
		return nil, "", err
	}
	if found := link.Info.GetTarget(); found != target {
		link.Close()
		return nil, "", &cronium.Error{
			Code: cronium.CodeConflict, Message: "Another agent answers in the place of this server's. Nothing was asked of it.",
			Err: fmt.Errorf("agent of %q instead of %q", cronium.Printable(found, 100), target),
		}
	}
	return link, target, nil
}
