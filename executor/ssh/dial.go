package ssh

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"cronium.dev/cronium"
)

// Times of connecting to one machine.
const (
	resolveTimeout   = 5 * time.Second
	connectTimeout   = 10 * time.Second // TCP
	handshakeTimeout = 20 * time.Second // greeting, keys, authentication: PAM may be slow
)

// errFlood ends a handshake in which a machine sends without end.
var errFlood = errors.New("it sent more than a handshake can need")

// clientVersion is how this side greets.
const clientVersion = "SSH-2.0-Cronium"

// dial connects to the machine over TCP, through another one unless that is
// nil, and signs in. under is called once the line is closed, or at once when
// it fails.
func dial(ctx context.Context, c *Connection, through *line, under func(), trace *trace) (*line, error) {
	l, err := dialOnce(ctx, c, through, under, trace, pinnedAlgorithms(c.HostKey))
	var negotiation *ssh.AlgorithmNegotiationError
	if len(c.HostKey) > 0 && errors.As(err, &negotiation) {
		// Has it no key of that type any more? Then it has another one.
		l, err = dialOnce(ctx, c, through, under, trace, nil)
	}
	if err != nil {
		under()
		return nil, err
	}
	return l, nil
}

func dialOnce(ctx context.Context, c *Connection, through *line, under func(), trace *trace, algorithms []string) (*line, error) {
	conn, err := connect(ctx, c, through, trace)
	if err != nil {
		return nil, err
	}
	heard := listen(conn)
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	// A channel of another line has no deadlines.
	stop := context.AfterFunc(ctx, func() { heard.Close() })
	defer stop()
	client, err := handshake(ctx, c, heard, trace, algorithms)
	if err != nil {
		heard.Close()
		return nil, err
	}
	if !stop() {
		client.Close()
		return nil, failedf(c, StepAuthenticate, ctx.Err(), "%s did not finish signing in within %s. It may be busy, or its login may be slow.", c.label(), handshakeTimeout)
	}
	heard.trust()
	return watch(client, heard, under), nil
}

// connect opens the TCP connection.
func connect(ctx context.Context, c *Connection, through *line, trace *trace) (net.Conn, error) {
	if through != nil {
		end := trace.begin(StepConnect)
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		conn, err := through.dialThrough(ctx, c.endpoint())
		if err != nil {
			return nil, end("", connectFailure(c, err))
		}
		return conn, end(c.endpoint(), nil)
	}
	addresses, err := resolve(ctx, c, trace)
	if err != nil {
		return nil, err
	}
	end := trace.begin(StepConnect)
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	for i, address := range addresses {
		each, stop := context.WithTimeout(ctx, connectTimeout/time.Duration(min(len(addresses)-i, 3)))
		var conn net.Conn
		conn, err = new(net.Dialer).DialContext(each, "tcp", net.JoinHostPort(address, c.port()))
		stop()
		if err == nil {
			return conn, end(conn.RemoteAddr().String(), nil)
		}
	}
	return nil, end("", connectFailure(c, err))
}

// resolve gives the IP addresses of the machine.
func resolve(ctx context.Context, c *Connection, trace *trace) ([]string, error) {
	end := trace.begin(StepResolve)
	addresses := []string{c.Address}
	if net.ParseIP(c.Address) == nil {
		ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
		defer cancel()
		var err error
		if addresses, err = net.DefaultResolver.LookupHost(ctx, c.Address); err != nil {
			return nil, end("", resolveFailure(c, err))
		}
	}
	for _, address := range addresses {
		if ip, err := netip.ParseAddr(address); err == nil && cronium.MetadataAddress(ip) {
			return nil, end("", failedf(c, StepResolve, nil, "%s is %s, a cloud's metadata address. Nothing connects to it.", c.Address, address))
		}
	}
	return addresses, end(addresses[0], nil)
}

// handshake agrees on keys, checks the machine's, and signs in.
func handshake(ctx context.Context, c *Connection, conn net.Conn, trace *trace, algorithms []string) (*ssh.Client, error) {
	auth, err := newAuth(c)
	if err != nil {
		return nil, err
	}
	end := trace.begin(StepHostKey)
	var keyError error
	config := &ssh.ClientConfig{
		Config:            modern(),
		User:              c.Login,
		Auth:              auth.methods,
		AuthCallback:      auth.offered,
		ClientVersion:     clientVersion,
		HostKeyAlgorithms: algorithms,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			keyError = checkHostKey(c, key)
			if keyError == nil {
				keyError = end(ssh.FingerprintSHA256(key), nil)
				end = trace.begin(StepAuthenticate)
				return nil
			}
			keyError = end(ssh.FingerprintSHA256(key), keyError)
			return keyError
		},
	}
	if len(algorithms) == 0 {
		config.HostKeyAlgorithms = hostKeyAlgorithms()
	}
	sshConn, channels, requests, err := ssh.NewClientConn(conn, c.endpoint(), config)
	if err == nil {
		return ssh.NewClient(sshConn, channels, requests), end(c.Login, nil)
	}
	if keyError != nil {
		return nil, keyError
	}
	return nil, end("", handshakeFailure(ctx, c, auth, err))
}

// modern are the algorithms that count as sound: what the library supports,
// without SHA-1.
func modern() ssh.Config {
	supported := ssh.SupportedAlgorithms()
	return ssh.Config{
		KeyExchanges: supported.KeyExchanges,
		Ciphers:      supported.Ciphers,
		MACs:         slices.DeleteFunc(supported.MACs, func(name string) bool { return name == ssh.HMACSHA1 }),
	}
}

// hostKeyAlgorithms are asked for where no key is pinned, the best one first.
func hostKeyAlgorithms() []string {
	return []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
	}
}

// pinnedAlgorithms are those of the pinned key's type, so that a machine with
// several keys shows that one. nil: none is pinned.
func pinnedAlgorithms(pinned []byte) []string {
	if len(pinned) == 0 {
		return nil
	}
	key, err := ssh.ParsePublicKey(pinned)
	if err != nil {
		return nil // no key equals it, so the check fails
	}
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{key.Type()}
}

// HostKeyError says that a machine's key is not the pinned one.
type HostKeyError struct {
	Key    []byte // that it showed, in SSH's wire format
	Pinned []byte // nil: none was confirmed yet
}

func (e *HostKeyError) Error() string {
	shown := Fingerprint(e.Key)
	if !e.Changed() {
		return "its key " + shown + " is not confirmed yet"
	}
	return fmt.Sprintf("its key is %s and was %s", shown, Fingerprint(e.Pinned))
}

// Changed tells a machine that shows another key from one that is new.
func (e *HostKeyError) Changed() bool { return len(e.Pinned) > 0 }

// Fingerprint is how people compare keys: "ssh-ed25519 SHA256:…". key is in SSH's
// wire format.
func Fingerprint(key []byte) string {
	parsed, err := ssh.ParsePublicKey(key)
	if err != nil {
		return "(not a key)"
	}
	return parsed.Type() + " " + ssh.FingerprintSHA256(parsed)
}

func checkHostKey(c *Connection, key ssh.PublicKey) error {
	shown := key.Marshal()
	if len(c.HostKey) > 0 && subtle.ConstantTimeCompare(shown, c.HostKey) == 1 {
		return nil
	}
	return hostKeyFailure(c, &HostKeyError{Key: shown, Pinned: slices.Clone(c.HostKey)})
}
