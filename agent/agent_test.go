package agent_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"cronium.dev/agent/manifest"
	agentproto "cronium.dev/agent/proto"
)

const target = "test-target"

// machine is an agent process and the directories that outlive it.
type machine struct {
	t       testing.TB
	dir     string // short, because sockets are in it
	key     ed25519.PrivateKey
	flags   []string
	spool   string // directory
	process *exec.Cmd
	ended   chan error
	stderr  *bytes.Buffer
}

// newMachine starts an agent. It is killed at the end of the test.
func newMachine(t testing.TB, flags ...string) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, dir: dir, key: key, flags: flags}
	m.spool = m.path("spool")
	m.start()
	t.Cleanup(func() {
		m.kill()
		os.RemoveAll(dir)
		if t.Failed() {
			t.Logf("agent: %s", m.stderr)
		}
	})
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) arguments() []string {
	public := m.key.Public().(ed25519.PublicKey)
	return append([]string{
		"serve", "--spool", m.spool, "--work", m.path("work"), "--socket", m.path("agent.sock"),
		"--target", target, "--public-key", base64.StdEncoding.EncodeToString(public),
		"--idle-exit", "2m", // should the test itself be killed
	}, m.flags...)
}

// start starts the agent, anew after kill.
func (m *machine) start() {
	m.t.Helper()
	m.process = exec.Command(os.Args[0], m.arguments()...)
	m.stderr = &bytes.Buffer{}
	m.process.Stderr = m.stderr
	if err := m.process.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.ended = make(chan error, 1)
	go func(p *exec.Cmd, ended chan error) { ended <- p.Wait() }(m.process, m.ended)
}

// kill is kill -9.
func (m *machine) kill() {
	m.process.Process.Kill()
	<-m.ended
	m.ended <- nil
}

// client connects to the agent's socket.
func (m *machine) client() agentproto.AgentClient {
	m.t.Helper()
	client, conn := m.connection()
	m.t.Cleanup(func() { conn.Close() })
	return client
}

func (m *machine) connection() (agentproto.AgentClient, *grpc.ClientConn) {
	m.t.Helper()
	return dial(m.t, func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		for {
			conn, err := d.DialContext(ctx, "unix", m.path("agent.sock"))
			if err == nil || ctx.Err() != nil {
				return conn, err
			}
			select { // the agent is starting
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
}

func dial(t testing.TB, open func(context.Context) (net.Conn, error)) (agentproto.AgentClient, *grpc.ClientConn) {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///agent",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return open(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	return agentproto.NewAgentClient(conn), conn
}

// on is the same machine for a subtest.
func (m *machine) on(t testing.TB) *machine {
	other := *m
	other.t = t
	return &other
}

func (m *machine) signal(id string, stop agentproto.Stop) {
	m.t.Helper()
	if _, err := m.client().Signal(m.t.Context(), &agentproto.SignalRequest{ExecutionId: id, Stop: stop}); err != nil {
		m.t.Fatalf("signal: %v", err)
	}
}

func (m *machine) info(client agentproto.AgentClient) *agentproto.InfoResponse {
	m.t.Helper()
	info, err := client.Info(m.t.Context(), &agentproto.InfoRequest{})
	if err != nil {
		m.t.Fatalf("info: %v", err)
	}
	return info
}

// terminate is SIGTERM.
func (m *machine) terminate() {
	m.t.Helper()
	if err := m.process.Process.Signal(syscall.SIGTERM); err != nil {
		m.t.Fatal(err)
	}
}

// touch makes a file in a job's work directory.
func (m *machine) touch(j *job, name string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.path("work"), j.ExecutionId, name), nil, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// state asks List for an execution, nil if it is not there.
func (m *machine) state(client agentproto.AgentClient, id string) *agentproto.ExecutionState {
	m.t.Helper()
	list, err := client.List(m.t.Context(), &agentproto.ListRequest{})
	if err != nil {
		m.t.Fatalf("list: %v", err)
	}
	for _, state := range list.GetExecutions() {
		if state.GetExecutionId() == id {
			return state
		}
	}
	return nil
}

func (m *machine) waitFinished(client agentproto.AgentClient, id string) {
	m.t.Helper()
	eventually(m.t, "the end", func() bool {
		return m.state(client, id).GetPhase() == agentproto.Phase_PHASE_FINISHED
	})
}

// job is a manifest in the making, with the contents of its files.
type job struct {
	*agentproto.Manifest
	contents map[string][]byte // by digest
}

// script makes a job of one script. interpreter is a name in PATH.
func script(interpreter, text string) *job {
	j := &job{contents: map[string][]byte{}, Manifest: &agentproto.Manifest{
		ExecutionId:   newID(),
		Target:        target,
		ExpiresUnixMs: time.Now().Add(time.Minute).UnixMilli(),
		Command:       []string{interpreter, "{entry}"},
		Entry:         "main",
		Environment:   map[string]string{},
		Limits:        &agentproto.Limits{GraceMs: 300},
	}}
	j.add("main", text)
	return j
}

func (j *job) add(name, text string) {
	sum := sha256.Sum256([]byte(text))
	digest := hex.EncodeToString(sum[:])
	j.contents[digest] = []byte(text)
	j.Files = append(j.Files, &agentproto.File{Name: name, Sha256: digest, Size: int64(len(text)), Mode: 0o644})
}

func newID() string {
	b := make([]byte, 16)
	rand.Read(b)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// start sends a job and returns its state once it runs.
func (m *machine) startJob(client agentproto.AgentClient, j *job) (*agentproto.ExecutionState, error) {
	signed, err := manifest.Sign(m.key, j.Manifest)
	if err != nil {
		m.t.Fatal(err)
	}
	return send(m.t.Context(), client, signed, j.contents)
}

func (m *machine) mustStart(client agentproto.AgentClient, j *job) {
	m.t.Helper()
	if _, err := m.startJob(client, j); err != nil {
		m.t.Fatalf("start: %v", err)
	}
}

// send is a server's side of Start.
func send(ctx context.Context, client agentproto.AgentClient, signed *agentproto.SignedManifest, contents map[string][]byte) (*agentproto.ExecutionState, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.Start(ctx)
	if err != nil {
		return nil, err
	}
	stream.Send(&agentproto.StartRequest{Part: &agentproto.StartRequest_Manifest{Manifest: signed}}) // Recv tells
	for {
		in, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		if state := in.GetAccepted(); state != nil {
			return state, nil
		}
		for _, digest := range in.GetNeed().GetSha256() {
			for rest := contents[digest]; ; {
				n := min(len(rest), 256<<10)
				part := &agentproto.BlobPart{Sha256: digest, Data: rest[:n], Last: n == len(rest)}
				stream.Send(&agentproto.StartRequest{Part: &agentproto.StartRequest_Blob{Blob: part}})
				if rest = rest[n:]; part.Last {
					break
				}
			}
		}
	}
}

// eventually waits for something that no channel tells.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !condition() {
		select {
		case <-time.After(2 * time.Millisecond):
		case <-deadline:
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

// running tells whether any process has the text in its arguments.
func running(text string) bool {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(line), text) {
			return true
		}
	}
	return false
}
