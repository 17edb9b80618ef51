package handlers

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	xssh "golang.org/x/crypto/ssh"

	"cronium.dev/cronium"
	"cronium.dev/executor/ssh"
	"cronium.dev/live"
	"cronium.dev/secrets"
	"cronium.dev/store"
)

// ServerTester tries a connection step by step: *ssh.Backend.
type ServerTester interface {
	Test(ctx context.Context, c *ssh.Connection, report func(ssh.Step)) error
	// Remove takes the agent off a server, as far as it is reached.
	Remove(ctx context.Context, server cronium.ID, user string) error
	// Drop ends the connections to a server, so that the next uses what is
	// stored now.
	Drop(server cronium.ID)
}

// serverInput is what a form or a program says of a server over SSH. Its secrets
// are never sent back.
type serverInput struct {
	Name, Description, Environment string
	Tags                           map[string]string
	Address, User                  string
	Port                           int
	Jumps                          []string // names or ids
	HostKey                        string   // base64, perhaps with its type before and a comment behind it
	Password                       string
	PrivateKey                     string
	Passphrase                     string
}

// maxSecret bounds a private key, in bytes. The largest RSA keys have 13 KB.
const maxSecret = 64 << 10

// apply puts what was said over a server, and gives what to sign in with: nil
// where nothing was said. All that is wrong is told at once.
func (h *Handlers) apply(ctx context.Context, in serverInput, s *cronium.Server) (*cronium.SignIn, string, error) {
	s.Name, s.Description, s.Environment, s.Tags = in.Name, in.Description, in.Environment, in.Tags
	s.Address, s.Port, s.Login = in.Address, in.Port, in.User
	var problems cronium.Problems
	jumps, err := h.jumpsOf(ctx, s.WorkspaceID, in.Jumps, &problems)
	if err != nil {
		return nil, "", err
	}
	s.Jumps = jumps
	if in.HostKey != "" {
		key, ok := parseHostKey(in.HostKey)
		problems.Add(ok, "host_key", "must be a public key as ssh-keyscan prints it, like ssh-ed25519 AAAA…")
		if ok && !bytes.Equal(key, s.HostKey) {
			s.HostKey, s.HostKeyBy = key, who(ctx).DisplayName()
		}
	}
	signIn, hint := in.signIn(&problems)
	if s.Kind == cronium.ServerAgent {
		problems.Add(in.Address == "" && in.User == "" && len(in.Jumps) == 0 && in.HostKey == "" && signIn == nil,
			"address", "must be empty, like all that SSH needs: the agent of this server dials in")
	}
	problems = append(s.Validate(), problems...)
	if err := problems.Err("The server"); err != nil {
		return nil, "", err
	}
	return signIn, hint, nil
}

// jumpsOf finds the servers to go through.
func (h *Handlers) jumpsOf(ctx context.Context, workspace cronium.ID, names []string, problems *cronium.Problems) ([]cronium.ID, error) {
	jumps := []cronium.ID{}
	for _, name := range names {
		id, isID := cronium.ParseID(name)
		if !isID {
			s, err := h.Store.ServerByName(ctx, workspace, name)
			if errors.Is(err, cronium.ErrNotFound) {
				problems.Add(false, "jumps", "must be servers that are here; there is none named %q", name)
				continue
			}
			if err != nil {
				return nil, err
			}
			id = s.ID
		}
		jumps = append(jumps, id)
	}
	return jumps, nil
}

// parseHostKey reads a public key into SSH's wire format: as known_hosts and
// ssh-keyscan write it, or its base64 alone.
func parseHostKey(text string) ([]byte, bool) {
	for _, word := range strings.Fields(text) {
		key, err := base64.StdEncoding.DecodeString(word)
		if err != nil {
			continue
		}
		if _, err := xssh.ParsePublicKey(key); err == nil {
			return key, true
		}
	}
	return nil, false
}

// signIn gives what to sign in with, and what may be shown of it.
func (in *serverInput) signIn(problems *cronium.Problems) (*cronium.SignIn, string) {
	problems.Add(len(in.Password) <= 1024, "password", "must be at most 1,024 bytes")
	problems.Add(len(in.PrivateKey) <= maxSecret, "private_key", "must be at most 64 KiB")
	problems.Add(in.Passphrase == "" || in.PrivateKey != "", "passphrase", "must come with its private key")
	if in.Password == "" && in.PrivateKey == "" {
		return nil, ""
	}
	s := &cronium.SignIn{Password: []byte(in.Password)}
	hint := "password"
	if in.PrivateKey != "" {
		// What was copied in a browser has its line ends.
		s.PrivateKey = []byte(strings.TrimSpace(strings.ReplaceAll(in.PrivateKey, "\r\n", "\n")) + "\n")
		s.Passphrase = []byte(in.Passphrase)
		signer, err := ssh.Signer(s.PrivateKey, s.Passphrase)
		if err != nil {
			field := "private_key"
			if in.Passphrase != "" {
				field = "passphrase"
			}
			problems.Add(false, field, "%s", keyProblem(err))
			return s, ""
		}
		hint = ssh.Fingerprint(signer.PublicKey().Marshal())
		if in.Password != "" {
			hint += " and a password"
		}
	}
	return s, hint
}

func keyProblem(err error) string {
	var e *cronium.Error
	if errors.As(err, &e) {
		return "cannot be used: " + e.Message
	}
	return "cannot be used: it is no private key in OpenSSH's or PEM's form"
}

// sealed is what to sign in with as it is stored, under the id of the server's
// credential if it has one. It wipes the content.
func (h *Handlers) sealed(ctx context.Context, s *cronium.Server, signIn *cronium.SignIn, hint string) (*cronium.Credential, error) {
	if signIn == nil {
		return nil, nil
	}
	defer signIn.Wipe()
	c := &cronium.Credential{ID: cronium.NewID(), WorkspaceID: s.WorkspaceID, Kind: signIn.Kind(), Hint: hint}
	if s.CredentialID != nil {
		c.ID = *s.CredentialID
	}
	plain, err := signIn.Encode()
	if err != nil {
		return nil, fmt.Errorf("encode a credential: %w", err)
	}
	defer secrets.Wipe(plain)
	c.DataKey, c.Sealed, err = h.Box.Seal(ctx, s.WorkspaceID, secrets.PurposeCredential, c.ID, plain)
	return c, err
}

// connection is how to reach a server with what was said of it just now. The
// caller wipes it.
func (h *Handlers) connection(ctx context.Context, s *cronium.Server, signIn *cronium.SignIn) (*ssh.Connection, error) {
	way, err := h.Store.ConnectionThrough(ctx, s)
	if err != nil {
		return nil, err
	}
	if signIn != nil {
		way.Hops[len(way.Hops)-1].Credential = nil
	}
	c, err := ssh.Opened(ctx, h.Box, way)
	if err != nil {
		return nil, err
	}
	if signIn != nil {
		c.Password, c.PrivateKey, c.Passphrase = bytes.Clone(signIn.Password), bytes.Clone(signIn.PrivateKey), bytes.Clone(signIn.Passphrase)
	}
	return c, nil
}

// saveServer stores a new server.
func (h *Handlers) saveServer(ctx context.Context, s *cronium.Server, in serverInput) error {
	signIn, hint, err := h.apply(ctx, in, s)
	if err != nil {
		return err
	}
	credential, err := h.sealed(ctx, s, signIn, hint)
	if err != nil {
		return err
	}
	s.ChangedBy = who(ctx).DisplayName()
	if err := h.Store.CreateServer(ctx, s, credential); err != nil {
		return err
	}
	h.serverChanged(ctx, "added", s)
	return nil
}

// changeServer stores what was said of a server that is there, in the version
// that s names.
func (h *Handlers) changeServer(ctx context.Context, s *cronium.Server, in serverInput) error {
	if s.ArchivedAt != nil {
		return cronium.Errorf(cronium.CodeConflict, "The server is archived. Take it back into use before you change it.")
	}
	signIn, hint, err := h.apply(ctx, in, s)
	if err != nil {
		return err
	}
	credential, err := h.sealed(ctx, s, signIn, hint)
	if err != nil {
		return err
	}
	s.ChangedBy = who(ctx).DisplayName()
	if err := h.Store.UpdateServer(ctx, s, credential); err != nil {
		return err
	}
	h.serverChanged(ctx, "changed", s)
	return nil
}

// serverChanged notes who changed which server, and has pages and connections
// look again.
func (h *Handlers) serverChanged(ctx context.Context, what string, s *cronium.Server) {
	if isDry(ctx) {
		return
	}
	p := who(ctx)
	h.Log.InfoContext(ctx, "server "+what, "workspace", p.WorkspaceID, "by", p.UserID, "server", s.ID, "name", s.Name)
	if h.Tester != nil {
		h.Tester.Drop(s.ID)
	}
	h.Hub.Publish(live.ServersTopic(p.WorkspaceID), live.AgentsTopic)
}

// selectorMatches tells for a server whether a selector chooses it; one that
// cannot be read chooses nothing.
func selectorMatches(s *cronium.Server) func(selector string) bool {
	return func(selector string) bool {
		parsed, err := cronium.ParseSelector(selector)
		return err == nil && parsed.Matches(s.Name, s.Environment, s.Kind, s.Tags)
	}
}

// matchingIDs are the servers that a selector chooses.
func matchingIDs(all []store.SelectableServer, selector *cronium.Selector) []cronium.ID {
	ids := []cronium.ID{} // not nil, which would be all
	for _, s := range all {
		if selector.Matches(s.Name, s.Environment, s.Kind, s.Tags) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
