package faults

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// When the load is over (checkEnd):
//
//   - the queue holds nothing that is still to be done;
//   - no container is there but idle ones of living servers, and none when
//     both have stopped;
//   - then no process of the installation is left.

// tidyLimit is how long what crashes have left may lie about: a container that
// nobody claims may be on its way to an execution for a minute.
const tidyLimit = 90 * time.Second

func (r *run) checkEnd(t *testing.T) {
	t.Helper()
	err := await(t.Context(), tidyLimit, "the queue to be empty", func() error {
		n, err := r.strikes.database.number(t.Context(), `SELECT count(*) FROM river_job WHERE kind = 'run' AND state NOT IN ('completed', 'cancelled', 'discarded')`)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d entries are not done", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	err = await(t.Context(), tidyLimit, "left containers to be removed", func() error { return r.onlyIdle(t.Context()) })
	if err != nil {
		t.Error(err)
	}
	if err := r.fleet.stop(t.Context()); err != nil {
		t.Error(err)
	}
	left, err := r.engine.containers(t.Context())
	if err != nil {
		t.Error(err)
	}
	for _, c := range left {
		t.Errorf("both servers have stopped, and container %.12s (%s, %s) is left", c.id, c.purpose, c.state)
	}
	err = await(t.Context(), 5*time.Second, "processes to end", r.noProcesses)
	if err != nil {
		t.Error(err)
	}
}

// onlyIdle looks for containers that do not wait in the pool of a living server.
func (r *run) onlyIdle(ctx context.Context) error {
	containers, err := r.engine.containers(ctx)
	if err != nil {
		return err
	}
	used, living := map[string]bool{}, map[string]bool{}
	err = r.strikes.database.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		for sql, set := range map[string]map[string]bool{
			`SELECT split_part(target_ref, '/', 1) FROM executions`:    used,
			`SELECT id::text FROM processes WHERE lease_until > now()`: living,
		} {
			rows, err := conn.Query(ctx, sql)
			if err != nil {
				return err
			}
			names, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			for _, name := range names {
				set[name] = true
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var left []string
	for _, c := range containers {
		if c.state != "running" || used[c.id] || !living[c.process] || c.purpose != "pool" {
			left = append(left, fmt.Sprintf("container %.12s (%s, %s, used %v, its server lives %v)", c.id, c.purpose, c.state, used[c.id], living[c.process]))
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("left over: %s", strings.Join(left, "; "))
	}
	return nil
}

// noProcesses looks for processes of the installation. Those of the engine are
// its own affair: one that was killed may forget what it had started.
func (r *run) noProcesses() error {
	var left []string
	for _, p := range processes(r.dir) {
		if !strings.Contains(p.command, filepath.Join(r.dir, "engine")) {
			left = append(left, fmt.Sprintf("process %d (%.100s)", p.pid, p.command))
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("left over: %s", strings.Join(left, "; "))
	}
	return nil
}
