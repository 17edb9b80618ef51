package ssh_test

import (
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
	"cronium.dev/executor/ssh"
	"cronium.dev/internal/testenv"
)

// whoami says where it runs.
var whoami = conformance.Bash(`echo "$(id -un)"`)

func runs(t *testing.T, target conformance.Target, user string) {
	t.Helper()
	r := target.Execute(t, whoami)
	r.Exited(t, 0)
	if got := r.Sink.Stdout(); got != user+"\n" {
		t.Errorf("the script ran as %q, want %q", got, user)
	}
}

// odd is a host on which everything that is allowed is unusual.
func odd(t *testing.T) *testenv.SSHHost {
	return testenv.SSH(t, testenv.SSHOptions{
		Config: "MaxSessions 1\nBanner /etc/banner\nPrintLastLog yes",
		Setup: `
			yes 'Unauthorized use is forbidden.' | head -n 200 >/etc/banner || true
			for user in bash dash zsh fish tcsh; do
				home=/home/$user; mkdir -p $home/.config/fish
				for file in .bashrc .profile .zshenv .config/fish/config.fish; do
					printf 'echo "Welcome, $USER"\nprintf "no end of line"\necho oops >&2\n' >$home/$file
				done
				printf 'echo Welcome\n' >$home/.tcshrc
				chown -R $user $home
			done
			printf 'sleep 1\n' >>/home/zsh/.zshenv`,
	})
}

func TestLoginShellsAndStartUpFiles(t *testing.T) {
	t.Parallel()
	h, b := odd(t), newBench(t)
	for _, shell := range []string{"bash", "dash", "zsh", "fish", "tcsh"} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			server := b.servers.add(to(h, shell))
			runs(t, b.on(server), shell)
			runs(t, b.on(server), shell) // over the same session: there may be one
		})
	}
}

func TestWaysToSignIn(t *testing.T) {
	t.Parallel()
	h, b := testenv.SharedSSH(t), newBench(t)
	each := map[string]func(*ssh.Connection){
		"a key":      func(*ssh.Connection) {},
		"a password": func(c *ssh.Connection) { c.PrivateKey, c.Password = nil, []byte(h.Password) },
		"a key with a passphrase": func(c *ssh.Connection) {
			c.PrivateKey, c.Passphrase = encrypted(t, h.PrivateKey, "open sesame"), []byte("open sesame")
		},
		"a passphrase that none asks": func(c *ssh.Connection) { c.Passphrase = []byte("open sesame") },
	}
	for name, change := range each {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := to(h, "bash")
			change(&c)
			runs(t, b.on(b.servers.add(c)), "bash")
		})
	}
}

func TestAnotherUserRunsTheScript(t *testing.T) {
	t.Parallel()
	h, b := testenv.SSH(t, testenv.SSHOptions{Config: "MaxSessions 1"}), newBench(t)
	server := b.servers.add(to(h, "bash"))
	runs(t, b.on(server), "bash")
	runs(t, b.as(server, "app"), "app") // a second session, which needs a connection of its own
	runs(t, b.as(server, "bash"), "bash")
	refused(t, b.as(server, "dash"), `"bash" may not run programs as "dash"`, "NOPASSWD")
	refused(t, b.as(server, "nobody-here"), `no user "nobody-here"`)
	refused(t, b.as(server, "-oProxyCommand=x"), "cannot be the name of a user")
}

// refused fails the test unless a place cannot be had, with these words.
func refused(t *testing.T, target conformance.Target, words ...string) error {
	t.Helper()
	spec := target.Spec
	spec.ExecutionID = cronium.NewID()
	_, err := target.Backend.Create(conformance.Context(t), spec, func(string) {})
	if err == nil {
		t.Fatal("a place was made")
	}
	said(t, err, words...)
	return err
}

// said fails the test unless the error is one for a person, with these words.
func said(t *testing.T, err error, words ...string) {
	t.Helper()
	var told *cronium.Error
	if !as(err, &told) {
		t.Fatalf("the error is not one for a person: %v", err)
	}
	for _, word := range words {
		if !strings.Contains(told.Message, word) {
			t.Errorf("it says %q, want %q in it", told.Message, word)
		}
	}
	if told.Code == cronium.CodeUnavailable && !is(err, executor.ErrUnavailable) {
		t.Errorf("%v does not say that another try may succeed", err)
	}
}

func TestJumpHosts(t *testing.T) {
	t.Parallel()
	h, b := testenv.SharedSSH(t), newBench(t)
	far := testenv.SSH(t, testenv.SSHOptions{})
	jump := to(h, "dash")
	jump.Server, jump.Name = cronium.NewID(), "bastion"
	b.servers.add(jump)
	c := to(far, "bash")
	c.Address, c.Port, c.Jumps = far.Inside, 22, []ssh.Connection{jump}
	first := b.servers.add(c)
	runs(t, b.on(first), "bash")
	// A second server behind the same jump host uses the same connection to it.
	c.Server, c.Login = cronium.NewID(), "zsh"
	runs(t, b.on(b.servers.add(c)), "zsh")

	t.Run("one that is not trusted", func(t *testing.T) {
		wrong := jump
		wrong.Server, wrong.HostKey = cronium.NewID(), otherKey(t)
		b.servers.add(wrong)
		c := c
		c.Server, c.Jumps = cronium.NewID(), []ssh.Connection{wrong}
		refused(t, b.on(b.servers.add(c)), "reached through another server", "bastion shows another key than before")
		if b.servers.offer(wrong.Server) == nil {
			t.Error("the changed key of the jump host was not told")
		}
	})
	t.Run("one that cannot reach it", func(t *testing.T) {
		c := c
		c.Server, c.Port = cronium.NewID(), 9
		refused(t, b.on(b.servers.add(c)), "server in between cannot reach")
	})
}
