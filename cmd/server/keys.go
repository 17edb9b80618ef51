package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"cronium.dev/cronium"
	"cronium.dev/secrets"
	"cronium.dev/store"
)

// keysCommand replaces the keys that protect passwords and private keys.
type keysCommand struct {
	Rotate keysRotateCommand `cmd:"" help:"Replace the keys that protect passwords, private keys and recordings, while servers run. An interrupted rotation is finished by the next."`
}

type keysRotateCommand struct {
	databaseFlags
	Master bool `help:"Also replace the master key, in the file master.key of the data folder."`
}

func (c *keysRotateCommand) Validate() error { return configurationError(c.problems()) }

func (c *keysRotateCommand) Run(ctx context.Context) error {
	s, stop, err := c.open(ctx, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	defer stop()
	defer s.Close()
	master, err := masterKey(ctx, c.Data, s)
	if err != nil {
		return err
	}
	report := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	rotation := secrets.NewRotation(s, master, report)
	return s.AloneRotating(ctx, func(ctx context.Context) error {
		if c.Master {
			if err := rotation.Master(ctx); err != nil {
				return err
			}
		}
		return rotation.DataKeys(ctx)
	})
}

// masterKey reads the master key, or makes it on the first start, and makes sure
// that it is the one that this database is used with.
func masterKey(ctx context.Context, dir string, s *store.Store) (*secrets.Master, error) {
	master, err := secrets.LoadMaster(dir)
	if err != nil {
		return nil, err
	}
	known, err := s.InitMasterKey(ctx, master.Newest())
	if err != nil {
		return nil, err
	}
	if !master.Has(known) {
		return nil, cronium.Errorf(cronium.CodeConflict,
			"The master key in %s is not the one that this database was used with. "+
				"Copy %s from the server that made the database, or from a backup; all servers of one database share it.", master.Where(), secrets.MasterFile)
	}
	return master, nil
}
