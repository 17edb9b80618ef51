package main

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"cronium.dev/cronium"
	"cronium.dev/jobs"
	"cronium.dev/store"
)

func scheduleFigures() []figure {
	return []figure{
		{name: "schedule_burst", unit: "ratio", goal: 4, measure: scheduleBurst},
		{name: "schedule_drift_p99", unit: "ms", goal: 100, measure: scheduleDriftP99},
	}
}

// scheduled is a server process whose one slot is taken by the first job, so
// that it does nothing but fire schedules; and events, which have none yet.
func scheduled(ctx context.Context, m *machine, events int) (*jobs.Engine, *store.Store, func(), error) {
	s, _, err := m.database(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	request, err := seed(ctx, s, "bench")
	if err != nil {
		return nil, nil, nil, err
	}
	for i := range events - 1 {
		e := &cronium.Event{Name: fmt.Sprintf("Event %d", i), Type: cronium.EventPython, Status: cronium.EventActive}
		if err := s.CreateEvent(ctx, request.WorkspaceID, e, cronium.NewContent(cronium.EventPython), "", store.Author{ID: cronium.NewID(), Name: "bench"}); err != nil {
			return nil, nil, nil, err
		}
	}
	engine, stop, err := noopEngine(ctx, m, s, 1, noop{takes: time.Hour})
	return engine, s, func() { stop(); s.Close() }, err
}

// addSchedules gives the events schedules in turn; expression is SQL of n, the
// number of a schedule.
func addSchedules(ctx context.Context, s *store.Store, count int, expression, nextAt string) error {
	_, err := s.WorkerPool().Exec(ctx, `
		INSERT INTO schedules (id, workspace_id, event_id, name, kind, expression, zone, missed, overlap, next_at, due_at)
		SELECT overlay(gen_random_uuid()::text PLACING lpad(to_hex((extract(epoch FROM now())::bigint + n)), 8, '0') FROM 1 FOR 8)::uuid, e.workspace_id, e.id, '', 'CRON', `+expression+`, 'Europe/Berlin', 'SKIP', 'ALLOW', `+nextAt+`, `+nextAt+`
		FROM generate_series(1, $1::int) n JOIN (SELECT id, workspace_id, row_number() OVER () - 1 AS i, count(*) OVER () AS all_of FROM events) e ON n % e.all_of = e.i`, count)
	if err != nil {
		return err
	}
	_, err = s.WorkerPool().Exec(ctx, `ANALYZE schedules`)
	return err
}

// scheduleBurst fires 100,000 schedules of 1,000 events that are due in the same
// second, and compares that with as many bare entries in batches of the same
// size.
func scheduleBurst(ctx context.Context, m *machine) (float64, error) {
	const count, rounds = 100_000, 3
	var ratios []float64
	for range rounds {
		ours, err := burst(ctx, m, count)
		if err != nil {
			return 0, err
		}
		bare, err := bareInserts(ctx, m, count)
		if err != nil {
			return 0, err
		}
		fmt.Printf("  schedules %.1f s, bare queue %.1f s\n", ours.Seconds(), bare.Seconds())
		ratios = append(ratios, float64(ours)/float64(bare))
	}
	return median(ratios), nil
}

func burst(ctx context.Context, m *machine, count int) (time.Duration, error) {
	engine, s, stop, err := scheduled(ctx, m, 1000)
	if err != nil {
		return 0, err
	}
	defer stop()
	if err := addSchedules(ctx, s, count, `'0 * * * *'`, `date_trunc('second', now())`); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := engine.Start(ctx); err != nil {
		return 0, err
	}
	err = until(ctx, func() (bool, error) {
		var left bool
		err := s.WorkerPool().QueryRow(ctx, `SELECT EXISTS (SELECT FROM schedules WHERE due_at <= now())`).Scan(&left)
		return !left, err
	})
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	var made, sources, entries int
	err = s.WorkerPool().QueryRow(ctx, `
		SELECT count(*), count(DISTINCT source_id), (SELECT count(*) FROM river_job WHERE kind = 'run') FROM jobs`).Scan(&made, &sources, &entries)
	if err == nil && (made != count || sources != count || entries != count) {
		err = fmt.Errorf("%d schedules made %d jobs of %d schedules and %d entries", count, made, sources, entries)
	}
	return took, err
}

// bareInserts is the queue alone.
func bareInserts(ctx context.Context, m *machine, count int) (time.Duration, error) {
	s, _, err := m.database(ctx)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	client, err := river.NewClient(riverpgxv5.New(s.Pool()), &river.Config{Logger: m.log})
	if err != nil {
		return 0, err
	}
	batch := make([]river.InsertManyParams, 1000)
	for i := range batch {
		batch[i] = river.InsertManyParams{Args: bareArgs{N: i}}
	}
	start := time.Now()
	for range count / len(batch) {
		if _, err := client.InsertManyFast(ctx, batch); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// scheduleDriftP99 lets 10,000 schedules run for half a minute, each once a
// minute in a second of its own, and looks at how long after its instant a job is
// seen by others.
func scheduleDriftP99(ctx context.Context, m *machine) (float64, error) {
	const count, length = 10_000, 30 * time.Second
	engine, s, stop, err := scheduled(ctx, m, 100)
	if err != nil {
		return 0, err
	}
	defer stop()
	err = addSchedules(ctx, s, count, `(n % 60) || ' * * * * *'`, `date_trunc('minute', now()) + make_interval(secs => n % 60) + CASE WHEN n % 60 <= extract(second FROM now()) + 1 THEN interval '1 minute' ELSE '0' END`)
	if err != nil {
		return 0, err
	}
	if err := engine.Start(ctx); err != nil {
		return 0, err
	}
	var drifts []float64
	seen := cronium.IDFloor(time.Now().Add(-time.Minute))
	for end := time.Now().Add(length); time.Now().Before(end); {
		rows, err := s.WorkerPool().Query(ctx, `SELECT id, extract(epoch FROM clock_timestamp() - fire_at)::float8 FROM jobs WHERE id > $1 ORDER BY id`, seen)
		if err != nil {
			return 0, err
		}
		for rows.Next() {
			var drift float64
			if err := rows.Scan(&seen, &drift); err != nil {
				return 0, err
			}
			drifts = append(drifts, drift*1000)
		}
		if rows.Err() != nil {
			return 0, rows.Err()
		}
		time.Sleep(2 * time.Millisecond)
	}
	if len(drifts) < 3000 {
		return 0, fmt.Errorf("%d jobs in %s", len(drifts), length)
	}
	fmt.Printf("  %d jobs, p50 %.1f ms\n", len(drifts), quantile(drifts, 0.5))
	return quantile(drifts, 0.99), nil
}
