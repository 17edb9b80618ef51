package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Partitions are a week long, begin on Mondays (UTC) and are made eight weeks
// ahead, so that a server that was never restarted, or a clock that jumped,
// does not run out of them.
const (
	partitionLength = 7 * 24 * time.Hour
	partitionsAhead = 8
)

var partitioned = []string{"jobs", "executions", "output", "job_targets", "artifacts", "artifact_parts"}

// MakePartitions makes the partitions of the coming weeks; those that exist
// are left as they are.
func (s *Store) MakePartitions(ctx context.Context, now time.Time) error {
	return s.system(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return fmt.Errorf("wait for others who make partitions: %w", err)
		}
		return makePartitions(ctx, tx, now)
	})
}

func makePartitions(ctx context.Context, tx pgx.Tx, now time.Time) error {
	week := now.UTC().Truncate(24 * time.Hour)
	for week.Weekday() != time.Monday {
		week = week.AddDate(0, 0, -1)
	}
	for i := -1; i <= partitionsAhead; i++ {
		from := week.Add(time.Duration(i) * partitionLength)
		for _, table := range partitioned {
			if err := makePartition(ctx, tx, table, from); err != nil {
				return err
			}
		}
	}
	return nil
}

func makePartition(ctx context.Context, tx pgx.Tx, table string, from time.Time) error {
	name := table + "_" + from.Format("20060102")
	var exists bool
	if err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, name).Scan(&exists); err != nil {
		return fmt.Errorf("look for partition %s: %w", name, err)
	}
	if exists {
		return nil
	}
	// The policy of the parent guards queries through it; the partition itself
	// has row-level security without a policy, so that it cannot be read at all.
	sql := fmt.Sprintf(`CREATE TABLE %[1]s PARTITION OF %[2]s FOR VALUES FROM ('%[3]s') TO ('%[4]s');
		ALTER TABLE %[1]s ENABLE ROW LEVEL SECURITY; ALTER TABLE %[1]s FORCE ROW LEVEL SECURITY`,
		pgx.Identifier{name}.Sanitize(), table, cronium.IDFloor(from), cronium.IDFloor(from.Add(partitionLength)))
	if _, err := tx.Exec(ctx, sql); err != nil {
		return fmt.Errorf("make partition %s: %w", name, err)
	}
	return nil
}

// Tidy makes coming partitions and removes what is too old to matter: rows of
// long dead processes, idempotency keys older than a week, drafts that no job
// names.
func (s *Store) Tidy(ctx context.Context, now time.Time) error {
	if err := s.MakePartitions(ctx, now); err != nil {
		return err
	}
	if _, err := s.worker.Exec(ctx, `DELETE FROM idempotency_keys WHERE created_at < now() - interval '7 days'`); err != nil {
		return mapError(err, "remove old idempotency keys")
	}
	return errors.Join(s.dropOldProcesses(ctx), s.dropInstants(ctx, now), s.dropDrafts(ctx), s.dropOldAgentCodes(ctx, now), s.dropOldSamples(ctx, now), s.dropOldDeliveries(ctx, now))
}
