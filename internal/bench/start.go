package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"time"

	"cronium.dev/cronium"
)

func startFigures() []figure {
	return []figure{
		{name: "start_warm", unit: "ratio", goal: 0.10, measure: startWarm},
		{name: "start_cold", unit: "ratio", goal: 1.1, measure: startCold},
	}
}

// startRounds is how often both sides start.
const startRounds = 25

func startWarm(ctx context.Context, m *machine) (float64, error) { return startRatio(ctx, m, true) }
func startCold(ctx context.Context, m *machine) (float64, error) {
	return startRatio(ctx, m, false, "--pool", "0")
}

// startRatio compares the time from the call "run" to the first byte of output
// at a viewer with that of docker run.
func startRatio(ctx context.Context, m *machine, warm bool, flags ...string) (float64, error) {
	s, err := m.site(ctx, flags...)
	if err != nil {
		return 0, err
	}
	defer s.close()
	event, err := s.python(ctx, "print", "print(1)\n", nil)
	if err != nil {
		return 0, err
	}
	var ours, bare []float64
	for tries := 0; len(ours) < startRounds; tries++ {
		if tries > 3*startRounds {
			return 0, errors.New("the pool is hardly ever filled")
		}
		took, found, err := s.firstByte(ctx, event)
		if err != nil {
			return 0, err
		}
		other, err := dockerFirstByte(ctx)
		if err != nil {
			return 0, err
		}
		// The first starts fill caches, and tell the pool what is wanted.
		if found.Warm == warm && tries >= 5 {
			ours, bare = append(ours, took), append(bare, other)
		}
		if err := refilled(ctx, warm); err != nil {
			return 0, err
		}
	}
	fmt.Printf("  ours %.1f ms (p90 %.1f), docker run %.1f ms\n", median(ours), quantile(ours, 0.9), median(bare))
	return median(ours) / median(bare), nil
}

// refilled gives the pool the time to make a container.
func refilled(ctx context.Context, warm bool) error {
	if !warm {
		return nil
	}
	select {
	case <-time.After(time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// firstByte runs an event and gives the milliseconds until a viewer, who knows
// of the job what its answer says, had the first output.
func (s *site) firstByte(ctx context.Context, event cronium.ID) (float64, attempt, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	start := time.Now()
	var job struct{ ID cronium.ID }
	if err := s.Try(ctx, http.MethodPost, "/api/v1/events/"+event.String()+"/run", nil, struct{}{}, &job); err != nil {
		return 0, attempt{}, err
	}
	found, err := s.execution(ctx, job.ID)
	if err != nil {
		return 0, attempt{}, err
	}
	viewer, err := s.view(ctx, found.ID)
	if err != nil {
		return 0, attempt{}, err
	}
	defer viewer.close()
	if _, err := viewer.next(); err != nil {
		return 0, attempt{}, err
	}
	took := milliseconds(time.Since(start))
	found, err = s.ended(ctx, job.ID)
	return took, found, err
}

// dockerFirstByte is the same by the engine's own client.
func dockerFirstByte(ctx context.Context) (float64, error) {
	command := docker(ctx, "run", "--rm", "--network", "none", runtimeImage, "python3", "-c", "print(1)")
	output, err := command.StdoutPipe()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := command.Start(); err != nil {
		return 0, err
	}
	if _, err := output.Read(make([]byte, 1)); err != nil {
		return 0, err
	}
	took := milliseconds(time.Since(start))
	return took, command.Wait()
}

// docker is a command of the engine's client.
func docker(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "docker", args...)
	command.Stderr = os.Stderr
	return command
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
