package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cronium.dev/executor/container"
	"cronium.dev/postgres"
	"cronium.dev/store"
)

// doctorCommand looks at what a server needs and says what to do about what is
// missing. It changes nothing.
type doctorCommand struct {
	serveCommand
}

// finding is what one check found.
type finding struct {
	about  string
	ok     bool
	note   bool   // worth knowing, though nothing is wrong
	found  string // what is there
	advice string // what to do, when not ok or a note
}

// Run prints a line a check and fails if one of them found a problem.
func (c *doctorCommand) Run(ctx context.Context) error {
	checks := []func(context.Context) []finding{c.checkData, c.checkDisk, c.checkDatabase, c.checkEngine, c.checkAgent, c.checkPort}
	bad := 0
	for _, check := range checks {
		for _, f := range check(ctx) {
			sign := "ok   "
			switch {
			case f.note:
				sign = "note "
			case !f.ok:
				sign = "WRONG"
				bad++
			}
			fmt.Printf("%s  %-9s %s\n", sign, f.about, f.found)
			if f.note || !f.ok {
				fmt.Printf("       %-9s → %s\n", "", f.advice)
			}
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of the checks found something wrong", bad)
	}
	return nil
}

func (c *doctorCommand) checkData(context.Context) []finding {
	info, err := os.Stat(c.Data)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return []finding{{about: "data", ok: true, found: c.Data + " does not exist yet; serve makes it"}}
	case err != nil:
		return []finding{{about: "data", found: err.Error(), advice: "Make the folder readable for the user that runs Cronium."}}
	case !info.IsDir():
		return []finding{{about: "data", found: c.Data + " is not a folder", advice: "Name a folder with --data."}}
	}
	key := filepath.Join(c.Data, keyFile)
	if _, err := readKey(key); err != nil && !errors.Is(err, os.ErrNotExist) {
		return []finding{{about: "key", found: explain(err), advice: "Without its key this instance cannot start anything."}}
	}
	return []finding{{about: "data", ok: true, found: c.Data}}
}

// leastDisk is what a server should have free for output and the database.
const leastDisk = 1 << 30

func (c *doctorCommand) checkDisk(context.Context) []finding {
	dir := c.Data
	for {
		var fs unix.Statfs_t
		err := unix.Statfs(dir, &fs)
		if errors.Is(err, os.ErrNotExist) && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return []finding{{about: "disk", found: err.Error(), advice: "Look at the disk that holds " + c.Data + "."}}
		}
		free := fs.Bavail * uint64(fs.Bsize)
		return []finding{{about: "disk", ok: free >= leastDisk, found: fmt.Sprintf("%.1f GiB free at %s", float64(free)/(1<<30), dir),
			advice: "Free at least 1 GiB, or put --data on another disk: jobs fail when their output cannot be stored."}}
	}
}

func (c *doctorCommand) checkDatabase(ctx context.Context) []finding {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	url, kind := c.DatabaseURL, "PostgreSQL by --database-url"
	if url == "" {
		kind = "embedded PostgreSQL"
		if _, err := os.Stat(filepath.Join(c.Data, "postgres", "data", "PG_VERSION")); err != nil {
			return []finding{{about: "database", ok: true, found: "embedded PostgreSQL, not made yet"}}
		}
		cluster, err := postgres.Start(ctx, postgres.Config{DataDir: filepath.Join(c.Data, "postgres"), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return []finding{{about: "database", found: err.Error(), advice: "See the log in " + filepath.Join(c.Data, "postgres", "data", "log") + "."}}
		}
		defer cluster.Stop(context.WithoutCancel(ctx))
		url = cluster.URL()
	}
	s, err := store.Open(ctx, url)
	if err == nil {
		defer s.Close()
		err = s.Ping(ctx)
	}
	if err != nil {
		return []finding{{about: "database", found: explain(err), advice: "Check that PostgreSQL runs and that the address, the role and the password are right."}}
	}
	return []finding{{about: "database", ok: true, found: kind + " answers"}, checkClock(ctx, s)}
}

// mostSkew is how far this machine's clock may be from the database's. Times of
// output are this machine's, times of jobs the database's.
const mostSkew = 5 * time.Second

func checkClock(ctx context.Context, s *store.Store) finding {
	var now time.Time
	before := time.Now()
	if err := s.Pool().QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now); err != nil {
		return finding{about: "clock", found: err.Error(), advice: "Check the database."}
	}
	skew := now.Sub(before.Add(time.Since(before) / 2)).Abs()
	return finding{about: "clock", ok: skew <= mostSkew, found: fmt.Sprintf("%s from the database's", skew.Round(time.Millisecond)),
		advice: "Set both machines' clocks by NTP."}
}

func (c *doctorCommand) checkEngine(ctx context.Context) []finding {
	agent, err := c.agentFile()
	if err != nil {
		return []finding{{about: "engine", found: err.Error(), advice: "Name the agent's binary with --agent."}}
	}
	backend, err := container.New(container.Config{Host: c.Engine, Instance: "doctor", Process: "doctor", Image: c.Image, Agent: agent, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return []finding{{about: "engine", found: err.Error(), advice: "Check --engine."}}
	}
	status := backend.Status(ctx)
	if status.Error != "" {
		return []finding{{about: "engine", found: status.Error, advice: "Install Docker (on Debian: apt-get install docker.io) and start it (systemctl start docker), or name another engine with --engine."}}
	}
	found := []finding{{about: "engine", ok: true, found: "Docker " + status.Engine + ", API " + status.API}}
	found = append(found, finding{about: "image", ok: status.ImageReady, found: c.Image,
		advice: "It is not on the engine. Make it with `make image`, or name an image that can be pulled with --image."})
	for _, warning := range status.Warnings {
		if !status.ImageReady && strings.Contains(warning, c.Image) {
			continue // said already
		}
		found = append(found, finding{about: "engine", note: true, found: warning, advice: "Update the engine."})
	}
	return found
}

func (c *doctorCommand) checkAgent(context.Context) []finding {
	agent, err := c.agentFile()
	if err == nil {
		_, err = os.Stat(agent)
	}
	if err != nil {
		return []finding{{about: "agent", found: err.Error(), advice: "Put cronium-agent beside cronium (make build does), or name it with --agent."}}
	}
	return []finding{{about: "agent", ok: true, found: agent}}
}

func (c *doctorCommand) checkPort(context.Context) []finding {
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		advice := "Choose another with --listen, like 127.0.0.1:8081."
		if strings.Contains(err.Error(), "address already in use") {
			advice = "Something listens there, perhaps Cronium itself. " + advice
		}
		return []finding{{about: "port", found: err.Error(), advice: advice}}
	}
	listener.Close()
	return []finding{{about: "port", ok: true, found: c.Listen + " is free"}}
}
