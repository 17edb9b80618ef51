package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// Failure is why a machine could not be used, behind a *cronium.Error with the
// words for a person. It always says executor.ErrUnavailable: another try may
// succeed once somebody has done something.
type Failure struct {
	Step StepName
	Host string // the machine at which it failed: a jump host, or the server itself
	Err  error
}

func (f *Failure) Error() string {
	if f.Err == nil {
		return fmt.Sprintf("%s: %s", f.Host, f.Step)
	}
	return fmt.Sprintf("%s: %s: %v", f.Host, f.Step, f.Err)
}

// Unwrap gives the cause and ErrUnavailable.
func (f *Failure) Unwrap() []error {
	if f.Err == nil {
		return []error{executor.ErrUnavailable}
	}
	return []error{executor.ErrUnavailable, f.Err}
}

func failed(c *Connection, step StepName, cause error, message string) error {
	return &cronium.Error{Code: cronium.CodeUnavailable, Message: message, Err: &Failure{Step: step, Host: c.label(), Err: cause}}
}

func failedf(c *Connection, step StepName, cause error, format string, args ...any) error {
	return failed(c, step, cause, fmt.Sprintf(format, args...))
}

// through says of a failure at a jump host on the way to which server it was.
func through(c *Connection, err error) error {
	var told *cronium.Error
	if !errors.As(err, &told) {
		return err
	}
	return &cronium.Error{Code: told.Code, Message: fmt.Sprintf("%s is reached through another server, and that failed: %s", c.label(), told.Message), Err: err}
}

func resolveFailure(c *Connection, err error) error {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return failedf(c, StepResolve, err, "No machine is known by the name %s. Check the address, or the name servers of the machine that Cronium runs on.", c.Address)
	}
	return failedf(c, StepResolve, err, "The name %s could not be looked up: the name servers do not answer. Use an IP address, or try again.", c.Address)
}

func connectFailure(c *Connection, err error) error {
	var refused *ssh.OpenChannelError
	switch {
	case errors.As(err, &refused) && refused.Reason == ssh.Prohibited:
		return failedf(c, StepConnect, err, "The server in between does not pass connections on to %s (AllowTcpForwarding, PermitOpen). Allow it in its sshd_config.", c.endpoint())
	case errors.As(err, &refused):
		return failedf(c, StepConnect, err, "The server in between cannot reach %s: %s.", c.endpoint(), clean(refused.Message))
	case errors.Is(err, unix.ECONNREFUSED):
		return failedf(c, StepConnect, err, "Nothing listens at %s: the connection was refused. Check the port, and that sshd runs.", c.endpoint())
	case errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETUNREACH):
		return failedf(c, StepConnect, err, "There is no way to %s from here (no route). Check the address and the network.", c.endpoint())
	case timedOut(err):
		return failedf(c, StepConnect, err, "%s did not answer within %s. The machine may be off, or a firewall drops what is sent to it.", c.endpoint(), connectTimeout)
	}
	return failedf(c, StepConnect, err, "The connection to %s failed: %v.", c.endpoint(), err)
}

func timedOut(err error) bool {
	var t net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

func hostKeyFailure(c *Connection, e *HostKeyError) error {
	shown := Fingerprint(e.Key)
	if !e.Changed() {
		return failedf(c, StepHostKey, e, "%s shows the key %s, which nobody has confirmed yet. Compare it with the machine's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) and confirm it.", c.label(), shown)
	}
	return failedf(c, StepHostKey, e, "%s shows another key than before: %s instead of %s. Nothing is sent to it until an administrator accepts the new key. "+
		"If nobody has installed the machine anew, somebody may be between it and you.", c.label(), shown, Fingerprint(e.Pinned))
}

// refusedMessage is what the library says when a machine takes no questions and
// answers in place of the password after all.
const refusedMessage = "unexpected message type 51"

func handshakeFailure(ctx context.Context, c *Connection, a *auth, err error) error {
	var negotiation *ssh.AlgorithmNegotiationError
	switch {
	case errors.Is(err, errFlood):
		return failedf(c, StepAuthenticate, err, "%s sends without end instead of signing in; it was given up. Check that an sshd answers at %s.", c.label(), c.endpoint())
	case ctx.Err() != nil:
		return failedf(c, StepAuthenticate, err, "%s did not finish signing in within %s. It may be busy, or something other than sshd answers at %s.", c.label(), handshakeTimeout, c.endpoint())
	case errors.As(err, &negotiation):
		return failedf(c, StepHostKey, err, "%s knows none of the ways to encrypt that still count as safe: %s. Update its sshd, or allow modern algorithms in its sshd_config.", c.label(), clean(negotiation.Error()))
	case strings.Contains(err.Error(), "unable to authenticate"), len(a.takes) > 0 && strings.Contains(err.Error(), refusedMessage):
		return failed(c, StepAuthenticate, err, refusedWords(c, a))
	}
	return failedf(c, StepAuthenticate, err, "Signing in to %s failed: %s. Check that an sshd answers at %s.", c.label(), clean(strings.TrimPrefix(err.Error(), "ssh: handshake failed: ")), c.endpoint())
}

// refusedWords says what the machine did not take, and what it would.
func refusedWords(c *Connection, a *auth) string {
	var have []string
	if len(c.PrivateKey) > 0 {
		have = append(have, "the key")
	}
	if len(c.Password) > 0 {
		have = append(have, "the password")
	}
	what := "nothing to sign in with"
	if len(have) > 0 {
		what = strings.Join(have, " and ")
	}
	text := fmt.Sprintf("%s does not let %q in with %s.", c.label(), c.Login, what)
	takes := slices.Clone(a.takes)
	for i := range takes {
		takes[i] = clean(takes[i])
	}
	switch {
	case len(takes) == 0:
		return text
	case len(c.PrivateKey) > 0 && !slices.Contains(a.tried, "publickey"), len(c.Password) > 0 && !slices.Contains(a.tried, "password") && !slices.Contains(a.tried, "keyboard-interactive"):
		return text + " It takes other ways: " + strings.Join(takes, ", ") + "."
	}
	return text + " Check the user, and that the key is in its authorized_keys or the password is right. It takes: " + strings.Join(takes, ", ") + "."
}

func keyFailure(err error) error {
	var missing *ssh.PassphraseMissingError
	message := "This is not a private key that SSH knows (OpenSSH, PKCS#1, PKCS#8 in PEM). Paste the whole file, with its first and last line."
	switch {
	case errors.As(err, &missing):
		message = "The private key is encrypted: give its passphrase as well."
	case strings.Contains(err.Error(), "decryption password incorrect"):
		message = "The passphrase does not open the private key."
	}
	// The library's error could quote the key.
	return cronium.Errorf(cronium.CodeInvalid, "%s", message)
}

// cleanLength is how much of a machine's own words a message repeats.
const cleanLength = 300

// clean makes one printable line of what a machine said.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > cleanLength {
		text = strings.ToValidUTF8(text[:cleanLength], "") + "…"
	}
	return text
}
