package agent_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	agentproto "cronium.dev/agent/proto"
)

// pipes are a child's standard input and output as a connection.
type pipes struct {
	net.Conn // for the methods that gRPC does not use
	in       *os.File
	out      *os.File
}

func (p *pipes) Read(b []byte) (int, error)       { return p.in.Read(b) }
func (p *pipes) Write(b []byte) (int, error)      { return p.out.Write(b) }
func (p *pipes) Close() error                     { p.in.Close(); return p.out.Close() }
func (p *pipes) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "pipes"} }
func (p *pipes) RemoteAddr() net.Addr             { return &net.UnixAddr{Name: "pipes"} }
func (p *pipes) SetDeadline(time.Time) error      { return nil }
func (p *pipes) SetReadDeadline(time.Time) error  { return nil }
func (p *pipes) SetWriteDeadline(time.Time) error { return nil }

// withPipes starts a command and returns the stream to it.
func withPipes(t *testing.T, cmd *exec.Cmd) *pipes {
	t.Helper()
	stdinRead, stdinWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdoutRead, stdoutWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout = stdinRead, stdoutWrite
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdinRead.Close()
	stdoutWrite.Close()
	return &pipes{in: stdoutRead, out: stdinWrite}
}

func dialPipes(t *testing.T, p *pipes) agentproto.AgentClient {
	client, conn := dial(t, func(context.Context) (net.Conn, error) { return p, nil })
	t.Cleanup(func() { conn.Close() })
	return client
}

func TestAgentAnswersOnItsStandardInputAndOutputAndThenOnTheSocket(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.kill()
	m.flags = append(m.flags, "--stdio")
	m.process = exec.Command(os.Args[0], m.arguments()...)
	stream := withPipes(t, m.process)
	m.ended = make(chan error, 1)
	go func() { m.ended <- m.process.Wait() }()

	client := dialPipes(t, stream)
	j := script("bash", "echo first; read line < <(sleep 0.3; echo x); echo second; echo stray > /proc/$PPID/fd/1 2>/dev/null; true")
	m.mustStart(client, j)
	f := follow(t, client, j.ExecutionId, 0)
	f.untilOutput("first")
	stream.Close()

	again := follow(t, m.client(), j.ExecutionId, f.offset)
	again.end()
	again.wantExit(0)
	if string(again.output) != "second\n" {
		t.Errorf("after the cut came %q", again.output)
	}
}

func TestConnectJoinsStandardInputAndOutputToTheSocketUntilEitherSideEnds(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	bridge := exec.Command(os.Args[0], "connect", "--socket", m.path("agent.sock"))
	stream := withPipes(t, bridge)
	client := dialPipes(t, stream)
	j := script("bash", "echo over the bridge")
	m.mustStart(client, j)
	f := follow(t, client, j.ExecutionId, 0)
	f.end()
	f.wantExit(0)
	stream.out.Close()
	if err := bridge.Wait(); err != nil {
		t.Errorf("connect ended with %v after its input did", err)
	}

	other := exec.Command(os.Args[0], "connect", "--socket", m.path("agent.sock"))
	dialPipes(t, withPipes(t, other)).Info(t.Context(), &agentproto.InfoRequest{})
	m.kill()
	if err := other.Wait(); err != nil {
		t.Errorf("connect ended with %v after the agent did", err)
	}
}
