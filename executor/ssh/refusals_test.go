package ssh_test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/executor/conformance"
	"cronium.dev/executor/ssh"
	"cronium.dev/internal/testenv"
)

func TestDirectoriesThatCannotHoldTheAgent(t *testing.T) {
	t.Parallel()
	h := testenv.SSH(t, testenv.SSHOptions{
		Run: []string{
			"--tmpfs", "/home/bash:noexec,mode=777", "--tmpfs", "/home/zsh:ro,mode=777",
			"--tmpfs", "/home/fish:exec,size=2m,mode=777", "--tmpfs", "/home/dash:exec,size=2m,mode=777", "--tmpfs", "/home/tcsh:exec,size=5m,mode=777",
		},
		Setup: `
			mkdir -p /var/tmp/cronium-$(id -u dash); ln -sfn /home /var/tmp/cronium-$(id -u tcsh)
			chown dash /home/dash; chown tcsh /home/tcsh
			printf '#!/bin/sh\n[ "$USER" = tcsh ] || exec /usr/bin/df "$@"\necho none 0 0 99999999 0 /\n' >/usr/local/bin/df
			chmod 755 /usr/local/bin/df`,
	})
	b := newBench(t)
	for user, why := range map[string]string{"bash": "noexec", "zsh": "read-only", "fish": "tiny"} {
		t.Run(why+" home", func(t *testing.T) {
			t.Parallel()
			runs(t, b.on(b.servers.add(to(h, user))), user)
			if at := h.Exec(t, "ls -d /var/tmp/cronium-$(id -u "+user+")/*-* /home/"+user+"/.cronium 2>/dev/null || true"); strings.Count(at, "\n") != 2 || strings.Contains(at, "/home") {
				t.Errorf("the agent's files are %q, want two in /var/tmp", at)
			}
		})
	}
	t.Run("none is left", func(t *testing.T) {
		t.Parallel()
		refused(t, b.on(b.servers.add(to(h, "dash"))),
			"No directory on web-01 can hold the agent", "/home/dash/.cronium: only 2 MiB are free", "MiB are needed", "/var/tmp/cronium-")
	})
	t.Run("a disk that fills up on the way", func(t *testing.T) {
		t.Parallel()
		refused(t, b.on(b.servers.add(to(h, "tcsh"))), "could not be written on web-01", "/home/tcsh/.cronium: No space left on device")
	})
}

func TestMachinesThatCannotRunTheAgent(t *testing.T) {
	t.Parallel()
	h := testenv.SSH(t, testenv.SSHOptions{
		Config: "Match User dash\nForceCommand echo only backups here\nMatch User zsh\nPasswordAuthentication no\nMatch User root\nPubkeyAuthentication no\nMatch all",
		Setup: `
			printf '#!/bin/sh\n[ "$USER $1" = "fish -m" ] && echo mips64 && exit\n[ "$USER $1" = "tcsh -s" ] && echo FreeBSD && exit\nexec /usr/bin/uname "$@"\n' >/usr/local/bin/uname
			chmod 755 /usr/local/bin/uname
			usermod -s /usr/sbin/nologin stranger
			echo 'yes Welcome' >/home/bash/.bashrc; echo 'head -c 1000000 /dev/zero' >>/home/bash/.bashrc
			chown bash /home/bash/.bashrc`,
	})
	b := newBench(t)
	for user, words := range map[string][]string{
		"fish":     {"processor of type mips64", "There is an agent for"},
		"tcsh":     {"runs FreeBSD", "Linux alone"},
		"stranger": {"runs no command", "This account is currently not available"},
		"dash":     {"runs no command", "only backups here"},
		"bash":     {"prints without end", "Welcome"},
	} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			refused(t, b.on(b.servers.add(to(h, user))), words...)
		})
	}
	for name, test := range map[string]struct {
		user   string
		change func(*ssh.Connection)
		words  []string
	}{
		"a wrong password":       {"root", func(c *ssh.Connection) { c.PrivateKey, c.Password = nil, []byte("wrong") }, []string{`does not let "root" in with the password`, "It takes: password"}},
		"a password for keys":    {"zsh", func(c *ssh.Connection) { c.PrivateKey, c.Password = nil, []byte(h.Password) }, []string{`does not let "zsh" in with the password`, "It takes other ways: publickey"}},
		"a key for passwords":    {"root", func(*ssh.Connection) {}, []string{`with the key`, "It takes other ways: password"}},
		"a user that is not":     {"nobody-here", func(*ssh.Connection) {}, []string{`does not let "nobody-here" in`, "publickey"}},
		"nothing to show":        {"zsh", func(c *ssh.Connection) { c.PrivateKey = nil }, []string{"nothing to sign in with"}},
		"no passphrase":          {"zsh", func(c *ssh.Connection) { c.PrivateKey = encrypted(t, h.PrivateKey, "x") }, []string{"give its passphrase"}},
		"a wrong passphrase":     {"zsh", func(c *ssh.Connection) { c.PrivateKey, c.Passphrase = encrypted(t, h.PrivateKey, "x"), []byte("y") }, []string{"passphrase does not open"}},
		"no key at all":          {"zsh", func(c *ssh.Connection) { c.PrivateKey = []byte("planted-secret") }, []string{"not a private key"}},
		"a key to be confirmed":  {"zsh", func(c *ssh.Connection) { c.HostKey = nil }, []string{"nobody has confirmed", "ssh-ed25519 SHA256:"}},
		"a name that is not":     {"zsh", func(c *ssh.Connection) { c.Address = "no-such-host.invalid" }, []string{"no-such-host.invalid", "name"}},
		"a port that is not":     {"zsh", func(c *ssh.Connection) { c.Port = 9 }, []string{"connection was refused", "127.0.0.1:9"}},
		"an address with a dash": {"zsh", func(c *ssh.Connection) { c.Address = "-oProxyCommand=touch /tmp/x" }, []string{"-oProxyCommand"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := to(h, test.user)
			test.change(&c)
			err := refused(t, b.on(b.servers.add(c)), test.words...)
			if strings.Contains(err.Error(), "planted-secret") || strings.Contains(err.Error(), h.Password) {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

func TestAChangedHostKeyIsTold(t *testing.T) {
	t.Parallel()
	h, b := testenv.SharedSSH(t), newBench(t)
	c := to(h, "bash")
	c.HostKey = otherKey(t)
	server := b.servers.add(c)
	err := refused(t, b.on(server), "another key than before", "administrator", ssh.Fingerprint(h.HostKey), ssh.Fingerprint(c.HostKey))
	var key *ssh.HostKeyError
	if !as(err, &key) || !key.Changed() || !bytes.Equal(key.Key, h.HostKey) {
		t.Errorf("%v does not carry the key that was shown", err)
	}
	if !bytes.Equal(b.servers.offer(server), h.HostKey) {
		t.Error("the key that was shown was not noted")
	}
}

func TestAPinnedKeyOfAnyTypeIsAskedFor(t *testing.T) {
	t.Parallel()
	h, b := testenv.SharedSSH(t), newBench(t)
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		c := to(h, "bash")
		c.HostKey = publicKey(t, h.Exec(t, "cat /etc/ssh/ssh_host_"+kind+"_key.pub"))
		runs(t, b.on(b.servers.add(c)), "bash")
	}
	t.Run("one of a type that it has no more", func(t *testing.T) {
		h := testenv.SSH(t, testenv.SSHOptions{Config: "HostKey /etc/ssh/ssh_host_ecdsa_key"})
		refused(t, b.on(b.servers.add(to(h, "bash"))), "another key than before")
	})
}

func TestWeakAlgorithmsAreRefused(t *testing.T) {
	t.Parallel()
	ports := map[string]int{"KexAlgorithms=diffie-hellman-group14-sha1": 2201, "Ciphers=aes128-cbc": 2202, "MACs=hmac-sha1": 2203, "HostKeyAlgorithms=ssh-rsa": 2204}
	setup := ""
	for option, port := range ports {
		setup += fmt.Sprintf("/usr/sbin/sshd -p %d -o %s -o Ciphers=aes128-ctr\n", port, option)
	}
	h, b := testenv.SSH(t, testenv.SSHOptions{Setup: setup}), newBench(t)
	for option, port := range ports {
		c := to(h, "bash")
		c.Address, c.Port, c.HostKey = h.Inside, port, nil
		err := refused(t, b.on(b.servers.add(c)), "count as safe")
		if t.Failed() {
			t.Fatalf("%s: %v", option, err)
		}
	}
}

// TestMachinesThatAreNoSSHServer has something else answer.
func TestMachinesThatAreNoSSHServer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, test := range map[string]struct {
		serve func(net.Conn)
		words string
	}{
		"floods before it greets":    {func(c net.Conn) { send(c, strings.Repeat("x", 1000)) }, "Signing in to web-01 failed"},
		"greets without end":         {func(c net.Conn) { send(c, "Welcome to this machine\r\n") }, "Signing in to web-01 failed"},
		"floods after it greets":     {func(c net.Conn) { _, _ = c.Write([]byte("SSH-2.0-x\r\n")); send(c, strings.Repeat("\xff", 1000)) }, "Signing in to web-01 failed"},
		"hangs up":                   {func(net.Conn) {}, "Signing in to web-01 failed"},
		"speaks another language":    {func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, "Signing in to web-01 failed"},
		"never says anything at all": {func(c net.Conn) { _, _ = c.Read(make([]byte, 1000)); _, _ = c.Read(make([]byte, 1)) }, "did not finish signing in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := listenOn(t, test.serve)
			refused(t, b.on(b.servers.add(c)), test.words)
		})
	}
}

// send sends the text over and over.
func send(c net.Conn, text string) {
	for {
		if _, err := c.Write([]byte(text)); err != nil {
			return
		}
	}
}

func TestAServerThatIsGone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	target := b.on(cronium.NewID())
	spec := target.Spec
	spec.ExecutionID = cronium.NewID()
	_, err := b.Create(conformance.Context(t), spec, func(string) {})
	said(t, err, "does not exist any more")
}
