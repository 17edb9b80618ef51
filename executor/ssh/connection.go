package ssh

import (
	"context"
	"net"
	"strconv"

	"cronium.dev/cronium"
)

// Connection is all that is needed to connect to one machine. Whoever is given
// one wipes it after use.
type Connection struct {
	Server     cronium.ID
	Name       string // for errors
	Address    string // host name or IP address
	Port       int    // 0 = 22
	Login      string
	Password   []byte // nil: none
	PrivateKey []byte // PEM or OpenSSH; nil: none
	Passphrase []byte // of the private key; nil: it is not encrypted
	HostKey    []byte // pinned, in SSH's wire format; nil: none is confirmed yet
	// Jumps are the machines to go through, the first one first. Their own
	// Jumps do not count.
	Jumps []Connection
}

// Directory knows how servers are reached.
type Directory interface {
	// Connection of a server, jumps included. It fails with
	// cronium.ErrNotFound when there is no such server, and with another
	// *cronium.Error when it may not be connected to.
	Connection(ctx context.Context, server cronium.ID) (*Connection, error)
	// OfferHostKey notes that a server showed another key than the pinned one,
	// so that nothing connects to it until an administrator has decided.
	OfferHostKey(ctx context.Context, server cronium.ID, key []byte) error
}

// Wipe overwrites the secrets.
func (c *Connection) Wipe() {
	clear(c.Password)
	clear(c.PrivateKey)
	clear(c.Passphrase)
	for i := range c.Jumps {
		c.Jumps[i].Wipe()
	}
}

func (c *Connection) port() string {
	if c.Port == 0 {
		return "22"
	}
	return strconv.Itoa(c.Port)
}

func (c *Connection) endpoint() string { return net.JoinHostPort(c.Address, c.port()) }

// label names the machine for a person.
func (c *Connection) label() string {
	if c.Name != "" {
		return c.Name
	}
	return c.endpoint()
}
