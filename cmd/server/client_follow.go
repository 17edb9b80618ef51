package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"cronium.dev/client"
	"cronium.dev/cronium"
)

const (
	// followedAtOnce is how many servers' outputs are followed at the same time;
	// those of others come when one has ended.
	followedAtOnce = 256
	// longestLine is how much of a line of one server is held until its end is
	// there; then the beginning is shown as a line.
	longestLine = 64 << 10
)

// followJob shows the output of a job's attempts, one after the other, or of its
// servers together, until the job is final. It goes on when the server was away.
func followJob(ctx context.Context, api *client.Client, id string, what shown) error {
	for {
		job, err := getJob(ctx, api, id)
		if err != nil {
			return err
		}
		if job.severalServers() && what.server == "" {
			return followServers(ctx, api, id, what.since)
		}
		if job.Target != string(cronium.TargetServers) || job.Targets > 0 || job.final() {
			return followAttempts(ctx, api, id, what)
		}
		if err := pauseFor(ctx, 100*time.Millisecond); err != nil { // its servers are being found
			return err
		}
	}
}

// executionsOf are the executions of a job, on one server if that is given.
func executionsOf(ctx context.Context, api *client.Client, job, server string) ([]clientExecution, error) {
	executions, err := jobExecutions(ctx, api, job)
	return slices.DeleteFunc(executions, func(e clientExecution) bool { return server != "" && e.ServerID != server }), err
}

// followAttempts shows one attempt after the other.
func followAttempts(ctx context.Context, api *client.Client, id string, what shown) error {
	for seen := 0; ; {
		job, err := getJob(ctx, api, id) // first: what is there after it was final is all
		if err != nil {
			return err
		}
		executions, err := executionsOf(ctx, api, id, what.server)
		if err != nil {
			return err
		}
		for ; seen < len(executions); seen++ {
			if seen > 0 {
				fmt.Fprintf(os.Stderr, "attempt %d\n", executions[seen].Attempt)
			}
			if err := showExecution(ctx, api, &executions[seen], what.since, true, plain); err != nil {
				return err
			}
		}
		if job.final() {
			return nil
		}
		if err := pauseFor(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// followServers shows the output of all servers of a job as it comes, each line
// after the name of its server.
func followServers(ctx context.Context, api *client.Client, id string, since time.Time) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	f := serversFollowed{api: api, since: since, hosts: newHostPrinter(), fail: fail, slots: make(chan struct{}, followedAtOnce), seen: map[string]bool{}, names: map[string]string{}}
	err := f.run(ctx, id)
	if err != nil {
		fail(err)
	}
	f.readers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

type serversFollowed struct {
	api     *client.Client
	since   time.Time
	hosts   *hostPrinter
	fail    context.CancelCauseFunc
	readers sync.WaitGroup
	slots   chan struct{}     // taken by readers that read
	seen    map[string]bool   // executions
	names   map[string]string // of servers, by id
}

// run gives each execution a reader, until the job is final.
func (f *serversFollowed) run(ctx context.Context, id string) error {
	for {
		job, err := getJob(ctx, f.api, id) // first: what is there after it was final is all
		if err != nil {
			return err
		}
		executions, err := jobExecutions(ctx, f.api, id)
		if err != nil {
			return err
		}
		for i := range executions {
			if err := f.start(ctx, id, &executions[i]); err != nil {
				return err
			}
		}
		if job.final() {
			return nil
		}
		wait := time.Duration(len(executions)) * 5 * time.Millisecond // the answer grows with them
		if err := pauseFor(ctx, max(500*time.Millisecond, wait)); err != nil {
			return err
		}
	}
}

// start gives an execution its reader, unless it has one.
func (f *serversFollowed) start(ctx context.Context, job string, e *clientExecution) error {
	if f.seen[e.ID] {
		return nil
	}
	if f.names[e.ServerID] == "" {
		targets, err := jobTargets(ctx, f.api, job)
		if err != nil {
			return err
		}
		for _, t := range targets {
			f.names[t.ServerID] = t.Server
		}
	}
	f.seen[e.ID] = true
	host := f.names[e.ServerID]
	f.readers.Go(func() {
		select {
		case f.slots <- struct{}{}:
			defer func() { <-f.slots }()
		case <-ctx.Done():
			return
		}
		lines := hostLines{hosts: f.hosts, name: host}
		err := showExecution(ctx, f.api, e, f.since, true, lines.write)
		if err = errors.Join(err, lines.end()); err != nil {
			f.fail(err)
		}
	})
	return nil
}

// hostLines makes lines of what one server's script prints.
type hostLines struct {
	hosts          *hostPrinter
	name           string
	stdout, stderr strings.Builder // what has no end yet
}

func (l *hostLines) write(stream, text string) error {
	begun := &l.stdout
	if stream == "stderr" {
		begun = &l.stderr
	}
	for text != "" {
		line, rest, ended := strings.Cut(text, "\n")
		begun.WriteString(line)
		text = rest
		if !ended && begun.Len() < longestLine {
			return nil
		}
		if err := l.hosts.line(l.name, stream, begun.String()); err != nil {
			return err
		}
		begun.Reset()
	}
	return nil
}

// end shows what has no line feed behind it.
func (l *hostLines) end() error {
	var err error
	if l.stdout.Len() > 0 {
		err = l.hosts.line(l.name, "stdout", l.stdout.String())
	}
	if l.stderr.Len() > 0 {
		err = errors.Join(err, l.hosts.line(l.name, "stderr", l.stderr.String()))
	}
	return err
}

// hostPrinter writes lines after the names of their servers, whole ones. It may be
// used concurrently.
type hostPrinter struct {
	mu     sync.Mutex
	colour map[*os.File]bool
}

func newHostPrinter() *hostPrinter {
	colour := func(f *os.File) bool { return os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(f.Fd())) }
	return &hostPrinter{colour: map[*os.File]bool{os.Stdout: colour(os.Stdout), os.Stderr: colour(os.Stderr)}}
}

func (p *hostPrinter) line(host, stream, text string) error {
	name, reset := printable(host), ""
	to := outputFor(stream)
	if p.colour[to] {
		// A script's colour ends with its line: the next one is another server's.
		name, reset = "\x1b["+strconv.Itoa(31+hostColour(name))+"m"+name+"\x1b[0m", "\x1b[0m"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := fmt.Fprintf(to, "%s | %s%s\n", name, text, reset)
	return err
}

// merged writes lines that have the name of their server already.
func (p *hostPrinter) merged(lines io.Reader) error {
	read := bufio.NewReaderSize(lines, 64<<10)
	for {
		text, err := read.ReadString('\n')
		if text != "" {
			host, line, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " | ")
			if err := p.line(host, "stdout", line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// hostColour is one of six colours, always the same for a name.
func hostColour(name string) int {
	sum := 0
	for _, b := range []byte(name) {
		sum = (sum*31 + int(b)) % 6
	}
	return sum
}
