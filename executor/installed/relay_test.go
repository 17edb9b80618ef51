package installed_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent/manifest"
	"cronium.dev/agent/proto"
	"cronium.dev/agent/tunnel"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/store"
)

// known says the process's address to the others.
func (h *hub) known(t testing.TB, p *process, hostname, address string) {
	t.Helper()
	if _, err := h.store.WorkerPool().Exec(t.Context(), `UPDATE processes SET hostname = $2, address = $3 WHERE id = $1`, p.id, hostname, address); err != nil {
		t.Fatal(err)
	}
}

func TestAnAgentIsReachedThroughTheProcessThatHoldsIt(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	first, second := h.process(t, ""), h.process(t, "")
	m := h.install(t, first)
	eventually(t, "it is known who holds the agent", func() bool {
		holder, err := h.store.AgentHolder(t.Context(), m.server)
		return err == nil && holder.Process == first.id
	})
	away := func(why, what string) {
		t.Helper()
		if link, err := second.Reach(t.Context(), m.server); !errors.Is(err, executor.ErrUnavailable) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v, %v", why, link, err)
		}
	}
	away("a process without an address", "--internal-url")
	h.known(t, first, "another-machine", first.server.URL)
	away("an address that is another machine's own", "--internal-url")
	h.known(t, first, "h", strings.Replace(second.server.URL, "127.0.0.1", "0.0.0.0", 1))
	away("an address at which another process answers", "Another server process")
	h.known(t, first, "h", strings.Replace(first.server.URL, "127.0.0.1", "0.0.0.0", 1)) // as from another machine

	link, err := second.Reach(t.Context(), m.server)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if got := link.Info.GetTarget(); got != m.server.String() {
		t.Errorf("it is the agent of %q", got)
	}
	session := cronium.NewID().String()
	grant, err := manifest.SignGrant(h.key, m.server.String(), manifest.ActionShell, session, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	said := shellSays(t, link, grant, session, "echo the-$((40 + 2)); head -c 3000000 /dev/zero | tr '\\0' x; exit\n")
	if !strings.Contains(said, "the-42") || strings.Count(said, "x") < 3_000_000 {
		t.Errorf("the shell says %d bytes, the first: %.300q", len(said), said)
	}
	if _, err := link.Client().List(t.Context(), &proto.ListRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("executions can be listed through another process: %v", err)
	}
	forged, err := manifest.SignGrant(newKey(t), m.server.String(), manifest.ActionFilesRead, "/", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := link.Client().ListFiles(t.Context(), &proto.ListFilesRequest{Grant: forged, Path: []byte("/")}); err == nil {
		t.Error("the agent does what another key has signed")
	}

	first.stop() // the agent comes to the second, which then needs nobody
	if _, err := link.Client().Info(t.Context(), &proto.InfoRequest{}); err == nil {
		t.Error("the way through a process that has stopped still works")
	}
}

// shellSays runs a shell to its end and gives what it said.
func shellSays(t *testing.T, link *executor.Link, grant *proto.SignedGrant, session, typed string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := link.Client().Shell(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&proto.ShellRequest{Part: &proto.ShellRequest_Open{Open: &proto.ShellOpen{Grant: grant, Session: session}}})
	_ = stream.Send(&proto.ShellRequest{Part: &proto.ShellRequest_Input{Input: []byte(typed)}})
	var said strings.Builder
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return said.String()
		}
		if err != nil {
			t.Fatalf("%v after %.300q", err, said.String())
		}
		if out := r.GetOutput(); out != nil {
			said.Write(out.GetData())
			_ = stream.Send(&proto.ShellRequest{Part: &proto.ShellRequest_Acknowledge{Acknowledge: out.GetOffset() + uint64(len(out.GetData()))}})
		}
		if r.GetEnd() != nil {
			return said.String()
		}
	}
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Only who has the installation's key is let through to agents: not an agent with
// its own, and not somebody with any.
func TestOnlyProcessesOfTheInstallationAreLetThrough(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	p := h.process(t, "")
	m := h.install(t, p)
	ask := func(key ed25519.PrivateKey) (tunnel.RelayAnswer, error) {
		conn, err := tunnel.Dial(t.Context(), p.server.URL, tunnel.Agent{Key: key, Server: h.key.Public().(ed25519.PublicKey), Protocol: tunnel.ProtocolRelay})
		if err != nil {
			return tunnel.RelayAnswer{}, err
		}
		defer conn.Close()
		var answer tunnel.RelayAnswer
		_ = tunnel.WriteMessage(conn, tunnel.RelayQuestion{Process: p.id.String(), Server: m.server.String()})
		return answer, tunnel.ReadMessage(conn, &answer)
	}
	if answer, err := ask(newKey(t)); err == nil {
		t.Errorf("a stranger is answered: %+v", answer)
	}
	if answer, err := ask(h.key); err != nil || answer.Error != "" {
		t.Errorf("a process of the installation: %+v, %v", answer, err)
	}
}

// A process tells the others by which address they reach it, with its lease.
func TestAProcessTellsItsAddress(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	p := store.Process{ID: cronium.NewID(), Hostname: "h", PID: 1, Address: "http://10.0.0.5:8080"}
	if err := h.store.RenewLease(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	found, err := h.store.Processes(t.Context())
	if err != nil || len(found) != 1 || found[0].Address != p.Address {
		t.Errorf("others see %+v (%v)", found, err)
	}
}
