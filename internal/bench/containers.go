package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"cronium.dev/cronium"
)

func containerFigures() []figure {
	return []figure{{name: "containers_rate", unit: "ratio", goal: 0.95, atLeast: true, measure: containersRate}}
}

// Scripts of one round, and how many run at once on either side.
const (
	rateScripts  = 200
	rateParallel = 4
)

// containersRate compares the whole lives of short scripts, each in a container
// of its own, with docker run alone.
func containersRate(ctx context.Context, m *machine) (float64, error) {
	s, err := m.site(ctx, "--max-runs", strconv.Itoa(rateParallel))
	if err != nil {
		return 0, err
	}
	defer s.close()
	event, err := s.python(ctx, "short", "print(1)\n", nil)
	if err != nil {
		return 0, err
	}
	var ratios []float64
	for round := range 4 {
		ours, err := s.lives(ctx, event)
		if err != nil {
			return 0, err
		}
		bare, err := dockerRate(ctx)
		if err != nil {
			return 0, err
		}
		if round == 0 {
			continue // it filled caches
		}
		fmt.Printf("  %.1f jobs/s, docker run %.1f/s\n", ours, bare)
		ratios = append(ratios, ours/bare)
	}
	return median(ratios), nil
}

// lives gives jobs per second, from the first request until the last job is
// final and all containers that ran one are removed.
func (s *site) lives(ctx context.Context, event cronium.ID) (float64, error) {
	conn, err := s.database(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	start := time.Now()
	for range rateScripts {
		if err := s.Try(ctx, http.MethodPost, "/api/v1/events/"+event.String()+"/run", nil, struct{}{}, nil); err != nil {
			return 0, err
		}
	}
	err = until(ctx, func() (bool, error) {
		var open int
		err := conn.QueryRow(ctx, `SELECT count(*) FROM jobs WHERE status NOT IN ('COMPLETED', 'FAILED', 'CANCELLED')`).Scan(&open)
		return open == 0, err
	})
	if err != nil {
		return 0, err
	}
	err = until(ctx, func() (bool, error) { return s.onlyPool(ctx) })
	rate := rateScripts / time.Since(start).Seconds()
	var failed int
	if err == nil {
		err = conn.QueryRow(ctx, `SELECT count(*) FROM jobs WHERE result <> 'SUCCESS'`).Scan(&failed)
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d jobs failed", failed)
	}
	return rate, err
}

// dockerRate gives containers per second of docker run --rm.
func dockerRate(ctx context.Context) (float64, error) {
	var running sync.WaitGroup
	failed := make(chan error, rateParallel)
	start := time.Now()
	for range rateParallel {
		running.Go(func() {
			for range rateScripts / rateParallel {
				if err := docker(ctx, "run", "--rm", "--network", "none", runtimeImage, "python3", "-c", "print(1)").Run(); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	running.Wait()
	rate := rateScripts / time.Since(start).Seconds()
	select {
	case err := <-failed:
		return 0, err
	default:
		return rate, nil
	}
}

// onlyPool tells whether no container of the site is there but those of its
// pool, which is full again.
func (s *site) onlyPool(ctx context.Context) (bool, error) {
	containers, err := s.containers(ctx)
	if err != nil {
		return false, err
	}
	return len(containers) <= poolSize, nil
}
