package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"cronium.dev/postgres"
	"cronium.dev/store"
)

type migrateCommand struct{ databaseFlags }

func (c *migrateCommand) Validate() error { return configurationError(c.problems()) }

func (c *migrateCommand) Run(ctx context.Context) error {
	s, stop, err := c.open(ctx, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	s.Close()
	stop()
	fmt.Println("The database is up to date.")
	return nil
}

// open gives the migrated database, and what ends the embedded PostgreSQL, if
// there is one.
func (d *databaseFlags) open(ctx context.Context, log *slog.Logger) (*store.Store, func(), error) {
	// 0711: the embedded PostgreSQL runs as another user when we are root.
	if err := os.MkdirAll(d.Data, 0o711); err != nil {
		return nil, nil, fmt.Errorf("make the data folder: %w", err)
	}
	url, stop := d.DatabaseURL, func() {}
	if url == "" {
		cluster, err := postgres.Start(ctx, postgres.Config{DataDir: filepath.Join(d.Data, "postgres"), Logger: log})
		if err != nil {
			return nil, nil, err
		}
		url = cluster.URL()
		stop = func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := cluster.Stop(ctx); err != nil {
				log.Error("the embedded PostgreSQL did not stop cleanly", "error", err)
			}
		}
	}
	if err := store.Migrate(ctx, url); err != nil {
		stop()
		return nil, nil, err
	}
	s, err := store.Open(ctx, url)
	if err != nil {
		stop()
		return nil, nil, err
	}
	return s, stop, nil
}
