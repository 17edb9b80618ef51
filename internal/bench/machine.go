package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/postgres"
	"cronium.dev/store"
)

// machine is what the figures share: a PostgreSQL as the product runs it, with
// every write made durable.
type machine struct {
	dir     string
	log     *slog.Logger
	cluster *postgres.Cluster
	count   int
}

func newMachine() (*machine, error) {
	// Not below the checkout: PostgreSQL runs as another user, who may not be
	// able to enter it.
	dir, err := os.MkdirTemp("", "cronium-bench-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return &machine{dir: dir, log: log}, nil
}

func (m *machine) close() {
	if m.cluster != nil {
		if err := m.cluster.Stop(context.Background()); err != nil {
			m.log.Error("PostgreSQL did not stop", "error", err)
		}
	}
	os.RemoveAll(m.dir)
}

// database makes a fresh, migrated database and opens it.
func (m *machine) database(ctx context.Context) (*store.Store, string, error) {
	if m.cluster == nil {
		cluster, err := postgres.Start(ctx, postgres.Config{DataDir: filepath.Join(m.dir, "postgres"), Logger: m.log})
		if err != nil {
			return nil, "", err
		}
		m.cluster = cluster
	}
	m.count++
	name := fmt.Sprintf("bench%d", m.count)
	admin, err := pgx.Connect(ctx, m.cluster.AdminURL())
	if err != nil {
		return nil, "", err
	}
	defer admin.Close(ctx)
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+name+" OWNER cronium"); err != nil {
		return nil, "", err
	}
	config, err := pgx.ParseConfig(m.cluster.URL())
	if err != nil {
		return nil, "", err
	}
	url := fmt.Sprintf("host=%s port=%d user=%s dbname=%s", config.Host, config.Port, config.User, name)
	if err := store.Migrate(ctx, url); err != nil {
		return nil, "", err
	}
	s, err := store.Open(ctx, url)
	return s, url, err
}

// median of at least one value.
func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile gives the value below which the share q of the values lies.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// until waits for a condition, for at most five minutes.
func until(ctx context.Context, condition func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		ok, err := condition()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
