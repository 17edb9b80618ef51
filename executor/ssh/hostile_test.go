package ssh_test

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	cryptossh "golang.org/x/crypto/ssh"

	"cronium.dev/cronium"
	"cronium.dev/executor/conformance"
	"cronium.dev/executor/ssh"
	"cronium.dev/internal/testenv"
)

// listenOn serves each connection to a port of loopback until the test ends.
func listenOn(t *testing.T, serve func(net.Conn)) ssh.Connection {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return ssh.Connection{Name: "web-01", Address: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Login: "x", Password: []byte("x")}
}

// hostile is a machine that lets everybody in. run is what it does in place of
// the command.
func hostile(t *testing.T, run func(cryptossh.Channel)) ssh.Connection {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := cryptossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	config := &cryptossh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(key)
	c := listenOn(t, func(conn net.Conn) {
		_, channels, requests, err := cryptossh.NewServerConn(conn, config)
		if err != nil {
			return
		}
		go cryptossh.DiscardRequests(requests)
		for asked := range channels {
			channel, requests, err := asked.Accept()
			if err != nil {
				return
			}
			go func() {
				for r := range requests {
					_ = r.Reply(true, nil)
					go run(channel)
				}
			}()
		}
	})
	c.HostKey = key.PublicKey().Marshal()
	return c
}

// endlessly prints the text over and over.
func endlessly(w io.Writer, text string) {
	for {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
	}
}

func TestHostileMachines(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	hello := func(c cryptossh.Channel) string {
		nonce, _ := bufio.NewReader(c).ReadString('\n')
		nonce = strings.TrimSpace(nonce)
		fmt.Fprintf(c, "%s hello\n", nonce)
		return nonce
	}
	for name, test := range map[string]struct {
		run   func(cryptossh.Channel)
		words string
	}{
		"prints lines without end":  {func(c cryptossh.Channel) { endlessly(c, "Welcome\n") }, "prints without end"},
		"prints a line without end": {func(c cryptossh.Channel) { endlessly(c, strings.Repeat("x", 1000)) }, "prints without end"},
		"prints errors without end": {func(c cryptossh.Channel) { go endlessly(c.Stderr(), "oops\n"); hello(c); c.Close() }, "ended the session"},
		"answers without end":       {func(c cryptossh.Channel) { hello(c); endlessly(c, "Welcome\n") }, "says things without end"},
		"wants the agent for ever":  {func(c cryptossh.Channel) { n := hello(c); endlessly(c, n+" platform Linux x86_64 6\n"+n+" need 0\n") }, "says things without end"},
		"wants what is not there":   {func(c cryptossh.Channel) { n := hello(c); fmt.Fprintf(c, "%s need -1\n", n) }, "a part of the agent that there is not"},
		"says what nobody knows":    {func(c cryptossh.Channel) { n := hello(c); fmt.Fprintf(c, "%s \x1b[2Jevil <b>\n", n) }, "was not understood"},
		"is no agent": {func(c cryptossh.Channel) {
			n := hello(c)
			fmt.Fprintf(c, "%s platform Linux x86_64 6\n%s free 1\njoined\nHTTP/1.1 200 OK\r\n\r\n", n, n)
			c.Close()
		}, "does not answer"},
		"joins before it was asked to": {func(c cryptossh.Channel) { hello(c); fmt.Fprint(c, "joined\n"); c.Close() }, "ended the session"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := refused(t, b.on(b.servers.add(hostile(t, test.run))), test.words)
			if strings.Contains(err.Error(), "\x1b") {
				t.Errorf("the error has what clears a terminal: %q", err)
			}
		})
	}
}

func TestFewMachinesAreConnectedToAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var mu sync.Mutex
	open, most, all := 0, 0, 0
	let := make(chan struct{})
	c := listenOn(t, func(conn net.Conn) {
		mu.Lock()
		open++
		all++
		most = max(most, open)
		mu.Unlock()
		_, _ = conn.Read(make([]byte, 64)) // its greeting
		<-let
		mu.Lock()
		open--
		mu.Unlock()
	})
	b.servers.usual = &c
	var asking sync.WaitGroup
	for range 50 {
		asking.Go(func() {
			spec := b.on(cronium.NewID()).Spec
			_, _ = b.Create(conformance.Context(t), spec, func(string) {}) // none of them answers
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
	eventually(t, "32 are connected to", func() bool { return count() == 32 })
	for range 18 {
		let <- struct{}{} // one makes room for another
	}
	eventually(t, "the others are connected to", func() bool { return count() == 50 })
	close(let)
	asking.Wait()
	if most != 32 {
		t.Errorf("%d were connected to at once", most)
	}
}

func TestASlowLineIsNotADeadOne(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c, line := over(t, testenv.SharedSSH(t), "bash")
	target := b.on(b.servers.add(c))
	runs(t, target, "bash")
	line.Slow(80 << 10)
	const bytes = 1 << 20
	r := target.Execute(t, conformance.Python(fmt.Sprintf(`import os; print(os.urandom(%d).hex(), end="")`, bytes/2)))
	r.Exited(t, 0)
	if len(r.Sink.Stdout()) != bytes || line.Dialled() != 1 {
		t.Errorf("%d bytes came over %d connections, want %d over one", len(r.Sink.Stdout()), line.Dialled(), bytes)
	}
}
