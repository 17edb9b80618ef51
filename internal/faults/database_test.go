package faults

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
	"cronium.dev/internal/instance"
)

// database asks the servers' database as its superuser, to whom no row is
// hidden. Each question has a connection of its own, because faults cut them.
type database struct{ site *instance.Site }

func (d database) do(ctx context.Context, ask func(context.Context, *pgx.Conn) error) error {
	url, err := d.site.Database()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return ask(ctx, conn)
}

func (d database) number(ctx context.Context, sql string, args ...any) (n int, err error) {
	err = d.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, sql, args...).Scan(&n)
	})
	return n, err
}

// openJobs counts those that are not final.
func (d database) openJobs(ctx context.Context) (int, error) {
	return d.number(ctx, `SELECT count(*) FROM jobs WHERE status NOT IN ('COMPLETED', 'FAILED', 'CANCELLED')`)
}

// cut ends all connections of the servers.
func (d database) cut(ctx context.Context) error {
	_, err := d.number(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'cronium'`)
	return err
}

// runningContainer gives the container of an execution that runs now, "" if
// there is none.
func (d database) runningContainer(ctx context.Context, choice int) (string, error) {
	var id string
	err := d.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT split_part(target_ref, '/', 1) FROM executions WHERE status = 'RUNNING' ORDER BY id`)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if len(ids) > 0 {
			id = ids[choice%len(ids)]
		}
		return err
	})
	return id, err
}

// execution is a row as the checker needs it, with its job's.
type execution struct {
	ID          cronium.ID
	JobID       cronium.ID
	EventID     cronium.ID
	Attempt     int
	Status      cronium.ExecutionStatus
	ExitCode    *int
	TargetRef   string
	Error       string
	OutputBytes int64
	FinishedAt  *time.Time
}

func (d database) executions(ctx context.Context) (all []execution, err error) {
	err = d.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `
			SELECT e.id, e.job_id, j.event_id, e.attempt, e.status, e.exit_code, e.target_ref, e.error, e.output_bytes, e.finished_at
			FROM executions e JOIN jobs j ON j.id = e.job_id ORDER BY e.id`)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[execution])
		return err
	})
	return all, err
}

type job struct {
	ID          cronium.ID
	EventID     cronium.ID
	Status      cronium.JobStatus
	Result      cronium.Result
	Attempts    int
	Error       string
	CancelledAt *time.Time
}

func (d database) jobs(ctx context.Context) (all []job, err error) {
	err = d.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT id, event_id, status, result, attempts, error, cancelled_at FROM jobs ORDER BY id`)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[job])
		return err
	})
	return all, err
}
