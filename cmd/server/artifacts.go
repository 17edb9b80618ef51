package main

import (
	"log/slog"

	"cronium.dev/artifacts"
	"cronium.dev/store"
)

// artifacts keeps the files that scripts save with their runs.
func (c *serveCommand) artifacts(s *store.Store, log *slog.Logger) (*artifacts.Keeper, error) {
	config := artifacts.Config{Records: s, Least: int64(c.BucketFromMiB) << 20, Log: log}
	storage, err := c.bucket()
	if err != nil {
		return nil, err
	}
	if storage != nil { // else the interface would hold a nil pointer
		config.Objects = storage
	}
	return artifacts.New(config), nil
}
