package testenv

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// SSHImage is the image that `make setup` makes of the runtime image for tests:
// sshd, sudo and several login shells.
const SSHImage = "cronium-sshhost:latest"

// hostLimit bounds one command about a host.
const hostLimit = time.Minute

// hostPassword is good on every host, which listens on loopback alone.
const hostPassword = "correct horse 7"

// SSHOptions say how a host differs from the usual one.
type SSHOptions struct {
	Config string   // lines for sshd_config, which win over the usual ones
	Setup  string   // bash script that root runs at each boot, before sshd starts
	Run    []string // further arguments of `docker run`
}

// SSHHost is a container that stands for a machine with an sshd. Its users are
// root, stranger (who may not use sudo) and one for each login shell: bash (who
// may become the user app), dash, fish, zsh, tcsh.
type SSHHost struct {
	Address    string // on this machine
	Port       int
	Inside     string // address as other hosts see it; port 22
	HostKey    []byte // Ed25519, in SSH's wire format
	PrivateKey []byte // PEM of a key that each user lets in
	Password   string // of each user

	container string
}

// sharedHost is the one that SharedSSH gives.
var sharedHost struct {
	sync.Mutex
	host *SSHHost
	err  error
}

// SharedSSH is a usual host that the tests of this process share.
func SharedSSH(t testing.TB) *SSHHost {
	t.Helper()
	sharedHost.Lock()
	defer sharedHost.Unlock()
	if sharedHost.host == nil && sharedHost.err == nil {
		sharedHost.host, sharedHost.err = StartSSH(SSHOptions{})
		if h := sharedHost.host; h != nil {
			AtEnd(t, func() { _ = h.Remove() })
		}
	}
	if sharedHost.err != nil {
		t.Fatalf("start an SSH host: %v", sharedHost.err)
	}
	return sharedHost.host
}

// SSH starts a host that is removed when the test ends.
func SSH(t testing.TB, options SSHOptions) *SSHHost {
	t.Helper()
	h, err := StartSSH(options)
	if err != nil {
		t.Fatalf("start an SSH host: %v", err)
	}
	t.Cleanup(func() {
		if err := h.Remove(); err != nil {
			t.Errorf("remove an SSH host: %v", err)
		}
	})
	return h
}

// StartSSH starts a host for a program that is no test, which removes it.
func StartSSH(options SSHOptions) (*SSHHost, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	authorized, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, err
	}
	h := &SSHHost{Address: "127.0.0.1", PrivateKey: pem.EncodeToMemory(block), Password: hostPassword}
	if err := h.run(options, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(authorized)))); err != nil {
		return nil, errors.Join(err, h.Remove())
	}
	return h, nil
}

// run starts the container and waits for its sshd.
func (h *SSHHost) run(options SSHOptions, authorized string) error {
	for try := 0; ; try++ {
		port, err := freePort()
		if err != nil {
			return err
		}
		args := []string{"run", "--detach", "--label", "cronium.purpose=test",
			"--publish", "127.0.0.1:" + strconv.Itoa(port) + ":22",
			"--env", "PASSWORD=" + h.Password, "--env", "AUTHORIZED=" + authorized,
			"--env", "CONFIG=" + options.Config, "--env", "SETUP=" + options.Setup}
		out, err := docker(append(append(args, options.Run...), SSHImage)...)
		h.container, h.Port = strings.TrimSpace(out), port
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), "port is already allocated") && !strings.Contains(err.Error(), "address already in use") || try == 5 {
			return fmt.Errorf("%w; run make setup", err)
		}
		_ = h.Remove()
	}
	if err := h.waitForSSHD(); err != nil {
		log, _ := docker("logs", "--tail", "20", h.container)
		return fmt.Errorf("%w; the container said: %s", err, log)
	}
	address, err := docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", h.container)
	if err != nil {
		return err
	}
	h.Inside = strings.TrimSpace(address)
	key, err := docker("exec", h.container, "cat", "/etc/ssh/ssh_host_ed25519_key.pub")
	if err != nil {
		return err
	}
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(key))
	if err != nil {
		return fmt.Errorf("read the host's key: %w", err)
	}
	h.HostKey = parsed.Marshal()
	return nil
}

// Exec runs a bash script on the host as root, not over SSH, and gives what it
// printed.
func (h *SSHHost) Exec(t testing.TB, script string) string {
	t.Helper()
	out, err := docker("exec", h.container, "bash", "-euc", script)
	if err != nil {
		t.Fatalf("on the SSH host: %v", err)
	}
	return out
}

// Reboot kills all processes and boots again on the same disk.
func (h *SSHHost) Reboot(t testing.TB) {
	t.Helper()
	h.Halt(t)
	h.Boot(t)
}

// Halt kills all processes.
func (h *SSHHost) Halt(t testing.TB) {
	t.Helper()
	if _, err := docker("kill", h.container); err != nil {
		t.Fatalf("halt the SSH host: %v", err)
	}
}

// Boot starts a host that was halted.
func (h *SSHHost) Boot(t testing.TB) {
	t.Helper()
	_, err := docker("start", h.container)
	if err == nil {
		err = h.waitForSSHD()
	}
	if err != nil {
		t.Fatalf("boot the SSH host: %v", err)
	}
}

// RestartSSHD ends sshd with all its connections; a new one starts by itself.
func (h *SSHHost) RestartSSHD(t testing.TB) {
	t.Helper()
	h.Exec(t, "pkill -9 -x sshd")
	if err := h.waitForSSHD(); err != nil {
		t.Fatalf("restart sshd: %v", err)
	}
}

// Remove kills the host and removes its disk.
func (h *SSHHost) Remove() error {
	if h.container == "" {
		return nil
	}
	_, err := docker("rm", "--force", "--volumes", h.container)
	return err
}

// waitForSSHD waits until the port greets as an sshd does.
func (h *SSHHost) waitForSSHD() error {
	ctx, cancel := context.WithTimeout(context.Background(), hostLimit)
	defer cancel()
	for {
		err := h.greets(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for sshd: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (h *SSHHost) greets(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(h.Address, strconv.Itoa(h.Port)))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "SSH-") {
		err = fmt.Errorf("it greets with %q", line)
	}
	return err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// docker runs the command of that name and gives its standard output.
func docker(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), hostLimit)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("docker %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}
