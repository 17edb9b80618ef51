package ssh

import (
	"context"
	"fmt"

	"cronium.dev/cronium"
	"cronium.dev/secrets"
)

// Servers stores servers with sealed credentials: *store.Store.
type Servers interface {
	ConnectionOf(ctx context.Context, server cronium.ID) (*cronium.ServerConnection, error)
	OfferHostKey(ctx context.Context, server cronium.ID, key []byte, reason string) error
}

// Stored is the Directory of stored servers.
type Stored struct {
	Servers Servers
	Box     *secrets.Box
	// Blocked is told of a server that showed another key; it may be nil.
	Blocked func(*cronium.Server)
}

// Connection reads how a server is reached and opens the credentials. It fails
// with CodeConflict where a machine on the way is blocked.
func (s *Stored) Connection(ctx context.Context, server cronium.ID) (*Connection, error) {
	way, err := s.Servers.ConnectionOf(ctx, server)
	if err != nil {
		return nil, err
	}
	for i := range way.Hops {
		if hop := &way.Hops[i].Server; hop.OfferedKey != nil {
			return nil, cronium.Errorf(cronium.CodeConflict,
				"%s is blocked: it showed a key that nobody has confirmed. An administrator decides about it on its page.", hop.Name)
		}
	}
	return Opened(ctx, s.Box, way)
}

// OfferHostKey blocks the server, with the reason for a person.
func (s *Stored) OfferHostKey(ctx context.Context, server cronium.ID, key []byte) error {
	way, err := s.Servers.ConnectionOf(ctx, server)
	if err != nil {
		return err
	}
	last := &way.Hops[len(way.Hops)-1].Server
	reason := "Its key is " + Fingerprint(key) + " and nobody has confirmed it yet. Nothing connects to it until an administrator has."
	if len(last.HostKey) > 0 {
		reason = fmt.Sprintf("Its key has changed: it shows %s and not %s. Another machine may have its address. Nothing connects to it until an administrator has decided.",
			Fingerprint(key), Fingerprint(last.HostKey))
	}
	if err := s.Servers.OfferHostKey(ctx, server, key, reason); err != nil {
		return err
	}
	if s.Blocked != nil {
		s.Blocked(last)
	}
	return nil
}

// Opened is a way to a server with its credentials opened. The caller wipes it.
func Opened(ctx context.Context, box *secrets.Box, way *cronium.ServerConnection) (*Connection, error) {
	hops := make([]Connection, 0, len(way.Hops))
	for i := range way.Hops {
		hop := &way.Hops[i]
		c := Connection{
			Server: hop.Server.ID, Name: hop.Server.Name, Address: hop.Server.Address, Port: hop.Server.Port,
			Login: hop.Server.Login, HostKey: hop.Server.HostKey,
		}
		if hop.Credential != nil {
			if err := c.unseal(ctx, box, hop.Credential); err != nil {
				for i := range hops {
					hops[i].Wipe()
				}
				return nil, err
			}
		}
		hops = append(hops, c)
	}
	last := hops[len(hops)-1]
	last.Jumps = hops[:len(hops)-1]
	return &last, nil
}

func (c *Connection) unseal(ctx context.Context, box *secrets.Box, sealed *cronium.Credential) error {
	plain, err := box.Open(ctx, sealed.WorkspaceID, secrets.PurposeCredential, sealed.ID, sealed.DataKey, sealed.Sealed)
	if err != nil {
		return fmt.Errorf("open the credential of %s: %w", c.Name, err)
	}
	defer secrets.Wipe(plain)
	signIn, err := cronium.DecodeSignIn(plain)
	if err != nil {
		return err
	}
	c.Password, c.PrivateKey, c.Passphrase = signIn.Password, signIn.PrivateKey, signIn.Passphrase
	return nil
}
