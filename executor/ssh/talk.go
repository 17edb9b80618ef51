package ssh

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"cronium.dev/executor"
)

// Bounds of what a machine may say and how long it may take.
const (
	helloTimeout  = 40 * time.Second // from the command to its first word: login shells may be slow
	answerTimeout = 60 * time.Second // for each later step
	uploadTimeout = 15 * time.Minute // of the agent over a very slow line
	noiseBytes    = 256 << 10        // before the first word, from start-up files and banners
	noiseLines    = 10_000
	answerLines   = 200 // after it: far more than the command has to say
)

// joined is what the agent says when it has taken the session over.
const joined = "joined"

// Modes of the command.
const (
	modeStart  = "start"  // of this release's agent, wherever there is room
	modeFind   = "find"   // of an agent that was used before
	modeRemove = "remove" // what there is for this server
)

// want is what a session is opened for.
type want struct {
	mode   string
	user   string // to become; "" = the login itself
	name   string // letters that the server's directories begin with
	digest string // of the agent to find; "" = this release's
	target string
	key    string // base64
	idle   time.Duration
	agents map[string]*binary // by architecture
}

// parameters are the lines that the command reads.
func (w want) parameters(nonce string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", nonce, orDash(w.user))
	fmt.Fprintf(&b, "%s %s %s %s %s %s\n", w.mode, w.name, orDash(w.digest), w.target, w.key, w.idle)
	for arch, a := range w.agents {
		fmt.Fprintf(&b, "%s %s %d\n", arch, a.digest, a.size)
	}
	b.WriteString("end\n")
	return b.String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// talk is one conversation with the command.
type talk struct {
	*want
	c        *Connection
	s        *session
	trace    *trace
	nonce    string
	heard    string // of the present step: what the machine said, for errors
	become   bool   // sudo was started and has not answered
	digest   string // of the agent that is started
	arch     string
	dir      string
	end      func(string, error) error
	begun    StepName
	uploaded bool
}

// hold has the conversation until the session is the agent's stream, and gives
// the digest of the agent. In mode remove it returns when all is removed.
func hold(ctx context.Context, c *Connection, s *session, w *want, trace *trace) (digest string, err error) {
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("make a nonce: %w", err)
	}
	t := &talk{want: w, c: c, s: s, trace: trace, nonce: hex.EncodeToString(random[:]), digest: w.digest}
	deadline := time.AfterFunc(helloTimeout, func() { s.Close() })
	defer deadline.Stop()
	defer context.AfterFunc(ctx, func() { s.Close() })()
	t.begin(StepPlatform)
	if _, err := io.WriteString(s, t.parameters(t.nonce)); err == nil {
		err = t.hello()
		if err != nil {
			return "", t.fail(t.helloFailure(ctx, err, !deadline.Stop()))
		}
	}
	for lines := 0; ; lines++ {
		if lines > answerLines {
			return "", t.fail(failedf(c, t.begun, errFlood, "%s says things without end while the agent is made ready.", c.label()))
		}
		timeout := answerTimeout
		if t.uploaded {
			timeout = uploadTimeout
		}
		deadline.Reset(timeout)
		line, err := s.readLine()
		if err != nil {
			return "", t.fail(t.endFailure(ctx, !deadline.Stop()))
		}
		if line == joined && t.begun == StepAgent {
			_ = t.end("", nil) // it gives its argument back
			return t.digest, nil
		}
		rest, ok := strings.CutPrefix(line, t.nonce+" ")
		if !ok {
			continue
		}
		word, rest, _ := strings.Cut(rest, " ")
		done, err := t.answer(ctx, word, rest)
		if err != nil {
			return "", t.fail(err)
		}
		if done {
			return t.digest, nil
		}
	}
}

func (t *talk) begin(name StepName) { t.begun, t.end = name, t.trace.begin(name) }

func (t *talk) fail(err error) error { return t.end("", err) }

// hello skips what a login prints before the command.
func (t *talk) hello() error {
	bytes := 0
	for lines := 0; ; lines++ {
		line, err := t.s.readLine()
		if err != nil && !errors.Is(err, errLongLine) {
			return err
		}
		if line == t.nonce+" hello" {
			return nil
		}
		if bytes += len(line) + 1; bytes > noiseBytes || lines > noiseLines || errors.Is(err, errLongLine) && bytes > noiseBytes {
			return errFlood
		}
		if line != "" {
			t.heard = line
		}
	}
}

// answer acts on one line of the command. done: there will be no more.
func (t *talk) answer(ctx context.Context, word, rest string) (done bool, err error) {
	switch word {
	case "become":
		t.become = true
	case "became":
		t.become = false
	case "platform":
		return false, t.platform(rest)
	case "directory":
		t.dir = rest
	case "free":
		detail := t.dir
		if kib, err := strconv.ParseInt(rest, 10, 64); err == nil {
			detail = fmt.Sprintf("%s, %.1f GiB free", t.dir, float64(kib)/(1<<20))
		}
		_ = t.end(clean(detail), nil) // it gives its argument back
		t.begin(StepAgent)
	case "need":
		return false, t.upload(ctx, rest)
	case "start":
	case "removed":
		_ = t.end("", nil) // it gives its argument back
		return true, nil
	case "gone":
		return false, fmt.Errorf("%w: the agent that ran it is not on %s any more", executor.ErrGone, t.c.label())
	default:
		return false, t.refusal(word, rest)
	}
	return false, nil
}

func (t *talk) platform(rest string) error {
	kernel, rest, _ := strings.Cut(rest, " ")
	machine, release, _ := strings.Cut(rest, " ")
	switch machine {
	case "x86_64", "amd64":
		t.arch = "amd64"
	case "aarch64", "arm64":
		t.arch = "arm64"
	default:
		t.arch = machine
	}
	if a := t.agents[t.arch]; a != nil && t.digest == "" {
		t.digest = a.digest
	}
	_ = t.end(clean(kernel+" "+release+", "+machine), nil) // it gives its argument back
	t.begin(StepDisk)
	return nil
}

// upload sends the agent from the offset on that the machine asks for. The
// machine may answer before it has taken everything, so nobody waits for that.
func (t *talk) upload(ctx context.Context, offset string) error {
	a := t.agents[t.arch]
	from, err := strconv.ParseInt(offset, 10, 64)
	if err != nil || a == nil || from < 0 || from > a.size {
		return failedf(t.c, StepAgent, nil, "%s asked for a part of the agent that there is not.", t.c.label())
	}
	t.uploaded = true
	go func() { // ends with the upload or with the session
		_, _ = io.Copy(t.s, io.NewSectionReader(a.file, from, a.size-from)) // the machine tells what it has got
	}()
	return nil
}
