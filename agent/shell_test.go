package agent_test

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent/manifest"
	agentproto "cronium.dev/agent/proto"
)

// terminal is one client of a shell.
type terminal struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[agentproto.ShellRequest, agentproto.ShellResponse]
	opened *agentproto.ShellOpened
	text   strings.Builder
	offset uint64
	end    *agentproto.ShellEnd
	cut    context.CancelFunc
}

func (m *machine) grant(action, subject string) *agentproto.SignedGrant {
	m.t.Helper()
	g, err := manifest.SignGrant(m.key, target, action, subject, time.Now().Add(time.Minute))
	if err != nil {
		m.t.Fatal(err)
	}
	return g
}

func (m *machine) shell(t *testing.T, open *agentproto.ShellOpen) (*terminal, error) {
	t.Helper()
	ctx, cut := context.WithCancel(t.Context())
	t.Cleanup(cut)
	stream, err := m.client().Shell(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if open.Grant == nil {
		open.Grant = m.grant(manifest.ActionShell, open.Session)
	}
	if err := stream.Send(&agentproto.ShellRequest{Part: &agentproto.ShellRequest_Open{Open: open}}); err != nil {
		t.Fatal(err)
	}
	r, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	return &terminal{t: t, stream: stream, opened: r.GetOpened(), offset: r.GetOpened().GetOffset(), cut: cut}, nil
}

func (m *machine) mustShell(t *testing.T, open *agentproto.ShellOpen) *terminal {
	t.Helper()
	s, err := m.shell(t, open)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *terminal) kind(text string) {
	s.t.Helper()
	if err := s.stream.Send(&agentproto.ShellRequest{Part: &agentproto.ShellRequest_Input{Input: []byte(text)}}); err != nil {
		s.t.Fatal(err)
	}
}

// see reads until the text was printed, acknowledging what came.
func (s *terminal) see(text string) {
	s.t.Helper()
	for !strings.Contains(s.text.String(), text) {
		if !s.read() {
			s.t.Fatalf("the shell ended without %q:\n%s", text, s.text.String())
		}
	}
}

func (s *terminal) read() bool {
	s.t.Helper()
	r, err := s.stream.Recv()
	if err != nil {
		s.t.Fatalf("%v after:\n%s", err, s.text.String())
	}
	if r.GetEnd() != nil {
		s.end = r.GetEnd()
		return false
	}
	if o := r.GetOutput(); o.GetOffset() != s.offset {
		s.t.Fatalf("output at %d, want %d", o.GetOffset(), s.offset)
	}
	s.text.Write(r.GetOutput().GetData())
	s.offset += uint64(len(r.GetOutput().GetData()))
	_ = s.stream.Send(&agentproto.ShellRequest{Part: &agentproto.ShellRequest_Acknowledge{Acknowledge: s.offset}})
	return true
}

func (s *terminal) waitEnd() *agentproto.ShellEnd {
	s.t.Helper()
	for s.read() {
	}
	return s.end
}

func TestAShellIsATerminal(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	s := m.mustShell(t, &agentproto.ShellOpen{
		Session: uuid.NewString(), Size: &agentproto.ShellSize{Columns: 91, Rows: 33}, Environment: map[string]string{"TERM": "xterm-256color"},
	})
	s.kind("test -t 0 && stty size && echo $TERM | tr x X\n")
	s.see("33 91")
	s.see("Xterm-256color")
	if err := s.stream.Send(&agentproto.ShellRequest{Part: &agentproto.ShellRequest_Size{Size: &agentproto.ShellSize{Columns: 120, Rows: 40}}}); err != nil {
		t.Fatal(err)
	}
	s.kind("stty size\n")
	s.see("40 120")
	s.kind("exit 7\n")
	if end := s.waitEnd(); end.GetExitCode() != 7 {
		t.Errorf("the shell ended with %v, want 7", end)
	}
}

func TestAShellGoesOnAfterACut(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	session := uuid.NewString()
	first := m.mustShell(t, &agentproto.ShellOpen{Session: session})
	first.kind("kept=yes; echo ready | tr a-z A-Z\n")
	first.see("READY")
	first.cut()
	second := m.mustShell(t, &agentproto.ShellOpen{Session: session, FromOffset: first.offset})
	if !second.opened.GetResumed() || second.offset != first.offset {
		t.Fatalf("opened %v, want the session resumed at %d", second.opened, first.offset)
	}
	second.kind("echo it-is-$kept\n")
	second.see("it-is-yes")

	// Another client takes its place.
	third := m.mustShell(t, &agentproto.ShellOpen{Session: session, FromOffset: second.offset})
	for {
		if _, err := second.stream.Recv(); err != nil {
			if status.Code(err) != codes.Aborted {
				t.Errorf("the replaced client got %v", err)
			}
			break
		}
	}
	third.kind("exit\n")
	third.waitEnd()
}

func TestAShellThatNobodyComesBackToEnds(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	session := uuid.NewString()
	s := m.mustShell(t, &agentproto.ShellOpen{Session: session, LingerMs: 100})
	s.kind("set +m; nohup sleep 1000 >/dev/null 2>&1 & echo pids=$$,$!.\n")
	s.see(".\r\n")
	pids := regexp.MustCompile(`pids=(\d+),(\d+)\.`).FindStringSubmatch(s.text.String())
	for len(pids) != 3 {
		s.read()
		pids = regexp.MustCompile(`pids=(\d+),(\d+)\.`).FindStringSubmatch(s.text.String())
	}
	s.cut()
	for _, text := range pids[1:] {
		pid, _ := strconv.Atoi(text)
		eventually(t, "process "+text+" is gone", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
	}
	eventually(t, "the session is gone", func() bool {
		again, err := m.shell(t, &agentproto.ShellOpen{Session: session, FromOffset: s.offset, LingerMs: 100})
		if err == nil {
			again.cut()
		}
		return status.Code(err) == codes.NotFound
	})
}

func TestAShellThatPrintsWithoutEndIsSlowed(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	session := uuid.NewString()
	s := m.mustShell(t, &agentproto.ShellOpen{Session: session})
	s.kind("yes line\n")
	s.see("line\r\nline")
	s.cut()
	again := m.mustShell(t, &agentproto.ShellOpen{Session: session, FromOffset: s.offset})
	total := 0
	for total < 2<<20 {
		before := again.offset
		again.read()
		total += int(again.offset - before)
	}
	again.kind("\x03")
	again.kind("exit 3\n")
	if end := again.waitEnd(); end.GetExitCode() != 3 {
		t.Errorf("ended with %v", end)
	}
}

func TestAShellNeedsItsGrant(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	session := uuid.NewString()
	for name, grant := range map[string]*agentproto.SignedGrant{
		"of another session": m.grant(manifest.ActionShell, uuid.NewString()),
		"for files":          m.grant(manifest.ActionFilesRead, session),
		"unsigned":           {Grant: m.grant(manifest.ActionShell, session).GetGrant()},
	} {
		if _, err := m.shell(t, &agentproto.ShellOpen{Session: session, Grant: grant}); status.Code(err) != codes.PermissionDenied {
			t.Errorf("a grant %s gives %v", name, err)
		}
	}
}

func TestTerminalsEndWithTheAgent(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	s := m.mustShell(t, &agentproto.ShellOpen{Session: uuid.NewString()})
	s.kind("echo pid=$$\n")
	s.see("pid=")
	m.terminate()
	s.waitEnd()
	select {
	case err := <-m.ended:
		m.ended <- err
	case <-t.Context().Done():
	}
}
