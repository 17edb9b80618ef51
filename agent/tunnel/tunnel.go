// Package tunnel is how an installed agent and its server reach each other: the
// agent dials out, whatever is between them, and both know whom they talk to.
//
// Outside is a WebSocket, which HTTP proxies and front ends pass on. Inside is
// TLS 1.3 with two self-signed certificates of Ed25519 keys: the agent knows the
// server's key from the code it joined with, the server knows the agent's since
// then. What the front ends on the way do with their own TLS does not matter.
// Inside that is one conversation: gRPC, or the joining of an agent.
//
//	conn, err := tunnel.Dial(ctx, url, tunnel.Agent{…})   // agent
//	conn, err := tunnel.Accept(w, r, tunnel.Server{…})    // server
package tunnel

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Path is the address of the tunnel below that of the server.
const Path = "/agent/v1/connect"

// Protocols are what a tunnel can be for. The agent asks for one of them.
const (
	ProtocolServe = "cronium-agent/1" // gRPC; the agent is its server
	ProtocolJoin  = "cronium-join/1"  // one question, one answer: see Join
	ProtocolRelay = "cronium-relay/1" // another process of the server: RelayQuestion, RelayAnswer, then gRPC
)

// handshakeLimit is how long the inner handshake may take.
const handshakeLimit = 15 * time.Second

// ErrServerKey says that who answered is not the server that the agent has
// joined: someone is in between, or the address is another server's.
var ErrServerKey = errors.New("the server has another key than the one that this agent has joined")

// certificate is a certificate of the key by itself. It says nothing but the
// key: each side knows which one the other must have.
func certificate(key ed25519.PrivateKey) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "cronium"},
		NotBefore:    time.Unix(0, 0), // clocks may be wrong, and keys are not known by dates
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate of the key: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, nil
}

// config is what both sides have in common. The chain of a certificate is never
// looked at (InsecureSkipVerify), its key always is: see VerifyConnection.
func config(key ed25519.PrivateKey) (*tls.Config, error) {
	own, err := certificate(key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS13,
		SessionTicketsDisabled: true, InsecureSkipVerify: true,
	}, nil
}

// AgentConfig is the inner TLS of an agent that has the key and knows the
// server's.
func AgentConfig(key ed25519.PrivateKey, server ed25519.PublicKey, protocol string) (*tls.Config, error) {
	c, err := config(key)
	if err != nil {
		return nil, err
	}
	c.NextProtos = []string{protocol}
	c.ServerName = "cronium"
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if peer, err := PeerKey(state); err != nil || !bytes.Equal(peer, server) {
			return ErrServerKey
		}
		if state.NegotiatedProtocol != protocol {
			return errors.New("the server does not know this version of the protocol")
		}
		return nil
	}
	return c, nil
}

// ServerConfig is the inner TLS of the server with the key. Whom it lets in is
// decided after the handshake, by PeerKey.
func ServerConfig(key ed25519.PrivateKey) (*tls.Config, error) {
	c, err := config(key)
	if err != nil {
		return nil, err
	}
	c.NextProtos = []string{ProtocolServe, ProtocolJoin, ProtocolRelay}
	c.ClientAuth = tls.RequireAnyClientCert
	c.VerifyConnection = func(state tls.ConnectionState) error {
		_, err := PeerKey(state)
		return err
	}
	return c, nil
}

// PeerKey is the key that the other side has proved to have.
func PeerKey(state tls.ConnectionState) (ed25519.PublicKey, error) {
	if len(state.PeerCertificates) == 0 {
		return nil, errors.New("the other side has shown no key")
	}
	key, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("the other side's key is not an Ed25519 key")
	}
	return key, nil
}

// handshake runs the inner handshake within its limit.
func handshake(ctx context.Context, conn *tls.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeLimit)
	defer cancel()
	return conn.HandshakeContext(ctx)
}
