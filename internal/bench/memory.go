package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func memoryFigures() []figure {
	return []figure{
		{name: "rss_server", unit: "MiB", goal: 60, measure: rssServer},
		{name: "rss_agent", unit: "MiB", goal: 15, measure: rssAgent},
		{name: "size_agent", unit: "MiB", goal: 12, measure: sizeAgent},
		{name: "ready", unit: "s", goal: 1.5, measure: ready},
	}
}

// poolSize is what cronium serve keeps ready at most without flags.
const poolSize = 8

// idleFor is how long nothing is asked of a server before its memory is read.
const idleFor = 20 * time.Second

// rssServer is the memory of a server that has run some scripts and shown some
// pages, and then idles. The database is not in it.
func rssServer(ctx context.Context, m *machine) (float64, error) {
	s, err := m.site(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
	event, err := s.python(ctx, "print", "print(1)\n", nil)
	if err != nil {
		return 0, err
	}
	for range 20 {
		if _, _, err := s.firstByte(ctx, event); err != nil {
			return 0, err
		}
		if err := s.Try(ctx, http.MethodGet, "/api/v1/jobs", nil, nil, nil); err != nil {
			return 0, err
		}
	}
	if err := sleep(ctx, idleFor); err != nil {
		return 0, err
	}
	return resident(s.server.PID)
}

// rssAgent is the memory of an agent that waits in a container of the pool.
func rssAgent(ctx context.Context, m *machine) (float64, error) {
	s, err := m.site(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
	var pid int
	err = until(ctx, func() (bool, error) {
		containers, err := s.containers(ctx)
		if err != nil || len(containers) == 0 {
			return false, err
		}
		said, err := docker(ctx, "inspect", "--format", "{{.State.Pid}}", containers[0]).Output()
		if err != nil {
			return false, err
		}
		_, err = fmt.Sscan(string(said), &pid)
		return pid > 0, err
	})
	if err != nil {
		return 0, err
	}
	if err := sleep(ctx, 5*time.Second); err != nil {
		return 0, err
	}
	return resident(pid)
}

// containers lists the ids of the site's own containers.
func (s *site) containers(ctx context.Context) ([]string, error) {
	conn, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	var instance string
	if err := conn.QueryRow(ctx, `SELECT value #>> '{}' FROM settings WHERE key = 'instance'`).Scan(&instance); err != nil {
		return nil, err
	}
	said, err := docker(ctx, "ps", "--all", "--quiet", "--filter", "label=cronium.instance="+instance).Output()
	return strings.Fields(string(said)), err
}

// resident is the memory of a process in MiB.
func resident(pid int) (float64, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			var kib float64
			_, err := fmt.Sscan(rest, &kib)
			return kib / 1024, err
		}
	}
	return 0, errors.New("the kernel says nothing about its memory")
}

func sizeAgent(context.Context, *machine) (float64, error) {
	info, err := os.Stat(filepath.Join("bin", "cronium-agent"))
	if err != nil {
		return 0, err
	}
	return float64(info.Size()) / (1 << 20), nil
}

// ready is the time from the start of the program, on a data folder that was
// used before, to the first page.
func ready(ctx context.Context, m *machine) (float64, error) {
	s, err := m.site(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { s.close() }()
	var times []float64
	for range 5 {
		if err := s.server.Stop(ctx); err != nil {
			return 0, err
		}
		start := time.Now()
		if s.server, err = s.Start(ctx); err != nil {
			return 0, err
		}
		response, err := http.Get(s.server.Address + "/")
		if err != nil {
			return 0, err
		}
		times = append(times, time.Since(start).Seconds())
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return 0, errors.New("the first page was answered by " + response.Status)
		}
	}
	return median(times), nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
