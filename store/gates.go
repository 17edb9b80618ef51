package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Waits says that a limit keeps a job from running now. The job is marked with
// what it waits for. The end of another job puts it into the queue again, or a
// person who lifts the limit; where After is set, time does, and the caller
// brings it back then.
type Waits struct {
	For   cronium.Waiting
	After time.Duration
}

func (w *Waits) Error() string { return "the job waits: " + string(w.For) }

// gates are the limits that one job has to pass at its claim. They hold for jobs
// of all processes, because each is a lock: the workspace's row of limits, the
// group's advisory lock and the event's row, taken in this order, by claims and
// by ends alike.
type gates struct {
	Job, Workspace, Event    cronium.ID
	Group                    string
	Alone                    *cronium.ID // the source of a job that runs with no other of it
	GroupLimit               int
	Concurrency              int          // of the event
	EventRate, WorkspaceRate cronium.Rate // starts in a time
	Running                  int          // of the workspace at once; 0 = no limit
	Paused                   bool
}

// limitedJob tells in SQL whether the end of a job may let another run: j and e
// are its row and its event's.
const limitedJob = `(e.concurrency > 0 OR j.group_limit > 0 OR j.alone OR EXISTS (SELECT FROM workspace_limits l WHERE l.workspace_id = j.workspace_id AND l.running > 0))`

// gateless tells in SQL whether nothing can keep a job of the table jobs from
// running.
const gateless = `(jobs.group_limit = 0 AND NOT jobs.alone AND (SELECT e.concurrency = 0 AND e.rate_count = 0 FROM events e WHERE e.id = jobs.event_id)
	AND NOT EXISTS (SELECT FROM workspace_limits l WHERE l.workspace_id = jobs.workspace_id AND (l.running > 0 OR l.rate_count > 0 OR l.mode = 'PAUSED')))`

// lockGates locks the gates of jobs, in one order.
func lockGates(ctx context.Context, tx pgx.Tx, jobs ...cronium.ID) error {
	// A statement for each kind of lock: what one has waited for, the next sees.
	for _, sql := range []string{
		`SELECT FROM workspace_limits WHERE workspace_id IN (SELECT workspace_id FROM jobs WHERE id = ANY($1)) ORDER BY workspace_id FOR NO KEY UPDATE`,
		`SELECT pg_advisory_xact_lock(key) FROM (
			SELECT DISTINCT hashtextextended(workspace_id::text || group_key, 0) AS key FROM jobs WHERE id = ANY($1) AND group_key <> '' ORDER BY 1) g`,
		`SELECT pg_advisory_xact_lock(key) FROM (
			SELECT DISTINCT hashtextextended(source_id::text, 0) AS key FROM jobs WHERE id = ANY($1) AND alone ORDER BY 1) g`,
		`SELECT FROM events WHERE id IN (SELECT event_id FROM jobs WHERE id = ANY($1)) ORDER BY id FOR NO KEY UPDATE`,
	} {
		if _, err := tx.Exec(ctx, sql, jobs); err != nil {
			return fmt.Errorf("lock the limits of jobs: %w", err)
		}
	}
	return nil
}

// gatesOf reads the gates of a job, which are locked.
func gatesOf(ctx context.Context, tx pgx.Tx, job cronium.ID) (*gates, error) {
	g := gates{Job: job}
	err := tx.QueryRow(ctx, `
		SELECT j.workspace_id, j.event_id, j.group_key, j.group_limit, CASE WHEN j.alone THEN j.source_id END, e.concurrency, e.rate_count, e.rate_seconds,
			coalesce(l.running, 0), coalesce(l.rate_count, 0), coalesce(l.rate_seconds, 0), coalesce(l.mode = 'PAUSED', false)
		FROM jobs j JOIN events e ON e.id = j.event_id LEFT JOIN workspace_limits l ON l.workspace_id = j.workspace_id
		WHERE j.id = $1`, job).
		Scan(&g.Workspace, &g.Event, &g.Group, &g.GroupLimit, &g.Alone, &g.Concurrency, &g.EventRate.Count, &g.EventRate.Seconds,
			&g.Running, &g.WorkspaceRate.Count, &g.WorkspaceRate.Seconds, &g.Paused)
	return &g, err
}

// pass locks the gates of a job and tells whether it may run. One that may not is
// marked, and what it has let pass goes to others that wait.
func (s *Store) pass(ctx context.Context, tx pgx.Tx, job cronium.ID) (*Waits, error) {
	if err := lockGates(ctx, tx, job); err != nil {
		return nil, err
	}
	g, err := gatesOf(ctx, tx, job)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotQueued
	}
	if err != nil {
		return nil, err
	}
	waits, err := g.refusal(ctx, tx)
	if err != nil || waits == nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `
		UPDATE jobs SET waiting = $2, next_attempt = CASE WHEN $3::interval > '0' THEN now() + $3 ELSE next_attempt END
		WHERE id = $1 AND status = 'QUEUED'`, job, waits.For, waits.After)
	if err != nil {
		return nil, err
	}
	// It may have been let go by a gate that it cannot use now.
	return waits, s.releaseGates(ctx, tx, g, waits.For, s.queueEntry())
}

// refusal is what keeps the job from running; nil: nothing. The rates come last,
// because they count what passes.
func (g *gates) refusal(ctx context.Context, tx pgx.Tx) (*Waits, error) {
	if g.Paused {
		return &Waits{For: cronium.WaitingPaused}, nil
	}
	for _, gate := range g.counted() {
		running, err := gate.running(ctx, tx)
		if err != nil {
			return nil, err
		}
		if running >= gate.limit {
			return &Waits{For: gate.waiting}, nil
		}
	}
	for _, r := range g.rates() {
		if after, err := r.wait(ctx, tx); err != nil || after > 0 {
			return &Waits{For: cronium.WaitingRate, After: after}, err
		}
	}
	for _, r := range g.rates() {
		if err := r.count(ctx, tx); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// counted is a gate through which only so many jobs run at once.
type counted struct {
	waiting cronium.Waiting
	limit   int
	which   string // the rows of jobs that share it
	args    []any  // from $1 on
}

// counted are those of the gates that have a limit.
func (g *gates) counted() []counted {
	all := []counted{
		{cronium.WaitingConcurrency, g.Concurrency, `workspace_id = $1 AND event_id = $2`, []any{g.Workspace, g.Event}},
		{cronium.WaitingGroup, g.GroupLimit, `workspace_id = $1 AND group_key = $2 AND group_key <> ''`, []any{g.Workspace, g.Group}},
		{cronium.WaitingQuota, g.Running, `workspace_id = $1`, []any{g.Workspace}},
	}
	if g.Alone != nil {
		all = append(all, counted{cronium.WaitingOverlap, 1, `workspace_id = $1 AND source_id = $2 AND alone`, []any{g.Workspace, *g.Alone}})
	}
	var limited []counted
	for _, c := range all {
		if c.limit > 0 {
			limited = append(limited, c)
		}
	}
	return limited
}

// running counts what has passed the gate and has not ended.
func (c counted) running(ctx context.Context, tx pgx.Tx) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM jobs WHERE `+c.which+` AND status IN ('CLAIMED', 'RUNNING')`, c.args...).Scan(&n)
	return n, err
}

// rate is a gate through which only so many jobs start in a time, by the generic
// cell rate algorithm (ITU-T I.371): as many as its count at once, then one in
// each share of its time. due is when the share of the last start ends.
type rate struct {
	workspace, subject cronium.ID // an event, or the workspace itself
	share, burst       time.Duration
}

func (g *gates) rates() []rate {
	var rates []rate
	add := func(subject cronium.ID, r cronium.Rate) {
		if r.Count > 0 {
			period := time.Duration(r.Seconds) * time.Second
			share := period / time.Duration(r.Count)
			rates = append(rates, rate{g.Workspace, subject, share, period - share})
		}
	}
	add(g.Event, g.EventRate)
	add(g.Workspace, g.WorkspaceRate)
	return rates
}

// wait is how long a start has to wait.
func (r rate) wait(ctx context.Context, tx pgx.Tx) (after time.Duration, err error) {
	err = tx.QueryRow(ctx, `
		SELECT greatest(coalesce((SELECT due FROM rates WHERE workspace_id = $1 AND subject = $2), now()) - $3::interval - now(), '0')`,
		r.workspace, r.subject, r.burst).Scan(&after)
	return after, err
}

func (r rate) count(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO rates (workspace_id, subject, due) VALUES ($1, $2, now() + $3::interval)
		ON CONFLICT (workspace_id, subject) DO UPDATE SET due = greatest(rates.due, now()) + $3`, r.workspace, r.subject, r.share)
	return err
}
