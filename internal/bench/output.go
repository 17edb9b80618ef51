package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"cronium.dev/cronium"
)

func outputFigures() []figure {
	return []figure{
		{name: "output_rate", unit: "ratio", goal: 0.5, atLeast: true, measure: outputRate},
		{name: "output_live_p99", unit: "ms", goal: 60, measure: outputLiveP99},
	}
}

// flood prints 200 MB: two million lines of 100 bytes.
const (
	floodBytes = 200_000_000
	flood      = `import sys
page = b"".join(b"%099d\n" % i for i in range(1000))
for i in range(2000):
    sys.stdout.buffer.write(page)
`
)

// outputRate compares how fast output of one script is stored and read back:
// from the start of the run until all of it was downloaded, with docker run
// followed by docker logs.
func outputRate(ctx context.Context, m *machine) (float64, error) {
	s, err := m.site(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
	event, err := s.python(ctx, "flood", flood, func(c *cronium.Content) { c.Limits.OutputMiB = 256 })
	if err != nil {
		return 0, err
	}
	var ratios []float64
	for range 3 {
		stored, read, err := s.flood(ctx, event)
		if err != nil {
			return 0, err
		}
		printed, shown, err := dockerFlood(ctx)
		if err != nil {
			return 0, err
		}
		ours, bare := stored+read, printed+shown
		fmt.Printf("  stored in %.1f s and read in %.1f s (%.0f MB/s), docker run %.1f s and docker logs %.1f s (%.0f MB/s)\n",
			stored, read, floodBytes/ours/1e6, printed, shown, floodBytes/bare/1e6)
		ratios = append(ratios, bare/ours)
	}
	return median(ratios), nil
}

// flood gives the seconds until all output is stored, and those to read it.
func (s *site) flood(ctx context.Context, event cronium.ID) (stored, read float64, err error) {
	start := time.Now()
	job, err := s.Run(ctx, event, cronium.NewID().String())
	if err != nil {
		return 0, 0, err
	}
	found, err := s.ended(ctx, job)
	if err != nil {
		return 0, 0, err
	}
	stored, start = time.Since(start).Seconds(), time.Now()
	body, err := s.Open(ctx, http.MethodGet, "/api/v1/executions/"+found.ID.String()+"/output", http.Header{"Accept": {"text/plain"}}, nil)
	if err != nil {
		return 0, 0, err
	}
	defer body.Close()
	n, err := io.Copy(io.Discard, body)
	if err == nil && (n != floodBytes || found.Status != cronium.ExecutionSuccess) {
		err = fmt.Errorf("%d bytes are there of an execution that is %s", n, found.Status)
	}
	return stored, time.Since(start).Seconds(), err
}

func dockerFlood(ctx context.Context) (printed, shown float64, err error) {
	start := time.Now()
	name := "cronium-bench-" + cronium.NewID().String()
	defer func() { err = errors.Join(err, docker(context.WithoutCancel(ctx), "rm", "--force", name).Run()) }()
	run := docker(ctx, "run", "--detach", "--name", name, "--network", "none", runtimeImage, "python3", "-c", flood)
	if err := errors.Join(run.Run(), docker(ctx, "wait", name).Run()); err != nil {
		return 0, 0, err
	}
	printed, start = time.Since(start).Seconds(), time.Now()
	n, err := countOutput(docker(ctx, "logs", name))
	if err == nil && n != floodBytes {
		err = fmt.Errorf("docker logs gave %d bytes", n)
	}
	return printed, time.Since(start).Seconds(), err
}

func countOutput(command *exec.Cmd) (int64, error) {
	output, err := command.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := command.Start(); err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, output)
	return n, errors.Join(err, command.Wait())
}

// The load of output_live_p99.
const (
	liveRuns    = 10
	liveViewers = 20 // of each run
	livePause   = 10 * time.Millisecond
	liveLines   = 1500 // of each run
)

// clock prints the time of each line in nanoseconds.
const clock = `import time
begun = time.monotonic()
for i in range(%d):
    print(time.time_ns())
    time.sleep(max(0, begun + (i + 1) * %f - time.monotonic()))
`

// outputLiveP99 has runs print the time and viewers compare it with theirs.
func outputLiveP99(ctx context.Context, m *machine) (float64, error) {
	s, err := m.site(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
	event, err := s.python(ctx, "clock", fmt.Sprintf(clock, liveLines, livePause.Seconds()), nil)
	if err != nil {
		return 0, err
	}
	var mu sync.Mutex
	var delays []float64
	var failed error
	var viewing sync.WaitGroup
	for range liveRuns {
		job, err := s.Run(ctx, event, cronium.NewID().String())
		if err != nil {
			return 0, err
		}
		found, err := s.execution(ctx, job)
		if err != nil {
			return 0, err
		}
		for range liveViewers {
			viewing.Go(func() {
				seen, err := s.delays(ctx, found.ID)
				mu.Lock()
				defer mu.Unlock()
				delays, failed = append(delays, seen...), errors.Join(failed, err)
			})
		}
	}
	viewing.Wait()
	if failed != nil {
		return 0, failed
	}
	fmt.Printf("  p50 %.1f ms, p90 %.1f ms, %d lines seen\n", quantile(delays, 0.5), quantile(delays, 0.9), len(delays))
	return quantile(delays, 0.99), nil
}

// delays follows an execution to its end and gives the milliseconds from the
// moment that each line holds until it came here. The first second, in which
// the other runs still start, does not count.
func (s *site) delays(ctx context.Context, execution cronium.ID) ([]float64, error) {
	v, err := s.view(ctx, execution)
	if err != nil {
		return nil, err
	}
	defer v.close()
	var delays []float64
	seen := 0
	for {
		data, err := v.next()
		if err == io.EOF {
			if seen != liveLines {
				return nil, fmt.Errorf("a viewer saw %d lines", seen)
			}
			return delays, nil
		}
		if err != nil {
			return nil, err
		}
		now := time.Now().UnixNano()
		for _, line := range textOf(data) {
			seen++
			at, err := strconv.ParseInt(line, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read a line: %w", err)
			}
			if seen > liveLines/5 {
				delays = append(delays, float64(now-at)/1e6)
			}
		}
	}
}

// textOf gives the lines in a piece of a stream. It does not decode JSON,
// because this process shares its processors with what it measures: the text of
// these scripts has no character that JSON writes otherwise but the line feed.
func textOf(data string) []string {
	var lines []string
	for {
		_, rest, found := strings.Cut(data, `"text":"`)
		if !found {
			return lines
		}
		text, after, _ := strings.Cut(rest, `"`)
		for line := range strings.SplitSeq(text, `\n`) {
			if line != "" {
				lines = append(lines, line)
			}
		}
		data = after
	}
}
