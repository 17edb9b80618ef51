package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Lease is how long a server process is taken to be alive after it has renewed
// its lease, by the database's clock. It is renewed every LeaseRenewal.
const (
	Lease        = 12 * time.Second
	LeaseRenewal = 4 * time.Second
)

// Process is a server process as others see it.
type Process struct {
	ID        cronium.ID
	Hostname  string
	PID       int
	Version   string
	Address   string // how other processes reach it, a URL; "" where they cannot
	StartedAt time.Time
	Alive     bool // its lease has not run out
}

// RenewLease says that the process is alive, and makes its row if there is
// none. It fails with ErrNoLease when the lease has run out: the process may
// claim again after RegainLease.
func (s *Store) RenewLease(ctx context.Context, p Process) error {
	tag, err := s.worker.Exec(ctx, `
		INSERT INTO processes (id, hostname, pid, version, lease_until, address)
		VALUES ($1, $2, $3, $4, now() + $5::interval, $6)
		ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until WHERE processes.lease_until > now()`,
		p.ID, p.Hostname, p.PID, p.Version, Lease, p.Address)
	if err == nil && tag.RowsAffected() == 0 {
		return ErrNoLease
	}
	return mapError(err, "renew lease")
}

// RegainLease gives a process its lease back after it had run out. What others
// took over in the meantime stays theirs, because executions name their owner;
// places that no execution named may be gone, so the process must have let go of
// them before.
func (s *Store) RegainLease(ctx context.Context, id cronium.ID) error {
	_, err := s.worker.Exec(ctx, `UPDATE processes SET lease_until = now() + $2::interval WHERE id = $1`, id, Lease)
	return mapError(err, "regain lease")
}

// EndLease ends the lease of a process that is known to be dead, or is about to
// stop, so that others need not wait for it to run out.
func (s *Store) EndLease(ctx context.Context, id cronium.ID) error {
	_, err := s.worker.Exec(ctx, `UPDATE processes SET lease_until = now() - interval '1 second' WHERE id = $1 AND lease_until > now()`, id)
	return mapError(err, "end lease")
}

// Processes lists the newest 200 processes, the newest first. Those that died
// more than a day ago are removed by Tidy.
func (s *Store) Processes(ctx context.Context) ([]Process, error) {
	rows, err := s.worker.Query(ctx, `
		SELECT id, hostname, pid, version, address, started_at, lease_until > now() AS alive
		FROM processes ORDER BY id DESC LIMIT 200`)
	if err != nil {
		return nil, mapError(err, "list processes")
	}
	processes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Process])
	return processes, mapError(err, "list processes")
}

// dropOldProcesses removes the rows of processes that are long dead and own
// nothing.
func (s *Store) dropOldProcesses(ctx context.Context) error {
	_, err := s.worker.Exec(ctx, `
		DELETE FROM processes p WHERE lease_until < now() - interval '1 day'
		AND NOT EXISTS (SELECT 1 FROM executions e WHERE e.owner = p.id AND e.status IN ('PENDING', 'RUNNING'))`)
	return mapError(err, "remove old processes")
}
