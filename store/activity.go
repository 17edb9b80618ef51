package store

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// ActivityBucket counts jobs that were accepted in one span of time.
type ActivityBucket struct {
	Start     time.Time
	Succeeded int
	Failed    int // FAILURE, TIMEOUT and PARTIAL
	Other     int // cancelled or not yet final
}

// Activity counts jobs by the time at which they were accepted, in spans of the
// length bucket, beginning with the one that since lies in. Spans without jobs
// are left out.
func (s *Store) Activity(ctx context.Context, workspace cronium.ID, since time.Time, bucket time.Duration) ([]ActivityBucket, error) {
	now := time.Now()
	var counted []ActivityBucket
	var from, to []cronium.ID
	for start := since.Truncate(bucket); start.Before(now); start = start.Add(bucket) {
		if known, ok := s.spans.get(spanKey{workspace, start.Unix(), bucket}); ok {
			counted = append(counted, known)
			continue
		}
		from, to = append(from, cronium.IDFloor(start)), append(to, cronium.IDFloor(start.Add(bucket)))
	}
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		// Each span is a range of ids: one scan of the index, without sorting.
		rows, err := tx.Query(ctx, `
			SELECT span.first, c.* FROM unnest($2::uuid[], $3::uuid[]) AS span (first, after)
			CROSS JOIN LATERAL (
				SELECT count(*) FILTER (WHERE result = 'SUCCESS'),
					count(*) FILTER (WHERE result IN ('FAILURE', 'TIMEOUT', 'PARTIAL')),
					count(*) FILTER (WHERE result IN ('', 'CANCELLED')),
					count(*) FILTER (WHERE result = '')
				FROM jobs WHERE workspace_id = $1 AND id >= span.first AND id < span.after) c`, workspace, from, to)
		if err != nil {
			return err
		}
		var first cronium.ID
		var b ActivityBucket
		var open int
		_, err = pgx.ForEachRow(rows, []any{&first, &b.Succeeded, &b.Failed, &b.Other, &open}, func() error {
			b.Start = cronium.IDTime(first)
			counted = append(counted, b)
			if open == 0 && now.Sub(b.Start) > bucket+clocksDiffer {
				s.spans.put(spanKey{workspace, b.Start.Unix(), bucket}, b)
			}
			return nil
		})
		return err
	})
	counted = slices.DeleteFunc(counted, func(b ActivityBucket) bool { return b.Succeeded+b.Failed+b.Other == 0 })
	slices.SortFunc(counted, func(a, b ActivityBucket) int { return a.Start.Compare(b.Start) })
	return counted, mapError(err, "count jobs")
}

// clocksDiffer is by how much the clocks of servers may: a job's id is made by
// the clock of the one that accepts it.
const clocksDiffer = 5 * time.Minute

// spans remembers the counts of spans of time that are over and in which no
// job is open. They do not change any more.
type spans struct {
	mu    sync.Mutex
	known map[spanKey]ActivityBucket
}

type spanKey struct {
	workspace cronium.ID
	start     int64 // seconds since 1970
	length    time.Duration
}

// maxSpans bounds the memory, at about 100 bytes each.
const maxSpans = 50_000

func (s *spans) get(key spanKey) (ActivityBucket, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.known[key]
	return b, ok
}

func (s *spans) put(key spanKey, b ActivityBucket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxSpans {
		s.known = map[spanKey]ActivityBucket{} // counting anew costs little
	}
	s.known[key] = b
}

// AttentionItem is an event whose last jobs failed.
type AttentionItem struct {
	EventID    cronium.ID
	EventName  string
	Failures   int       // in a row, at most 50
	Since      time.Time // the first of them was accepted
	LastJobID  cronium.ID
	LastResult cronium.Result
	LastError  string
}

// Attention lists the active events whose newest final job of the last week
// did not succeed, the most recent first, at most 20. Test runs do not count.
func (s *Store) Attention(ctx context.Context, workspace cronium.ID) ([]AttentionItem, error) {
	var items []AttentionItem
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			WITH last AS (
				SELECT e.id, e.name, j.id AS job, j.result, j.error FROM events e
				CROSS JOIN LATERAL (
					SELECT id, result, error FROM jobs
					WHERE event_id = e.id AND id >= $2 AND status IN ('COMPLETED', 'FAILED') AND trigger <> 'TEST'
					ORDER BY id DESC LIMIT 1) j
				WHERE e.workspace_id = $1 AND e.status = 'ACTIVE' AND j.result <> 'SUCCESS'
				ORDER BY j.id DESC LIMIT 20)
			SELECT last.id, last.name, run.failures, run.first, last.job, last.result, last.error
			FROM last CROSS JOIN LATERAL (
				SELECT count(*)::int AS failures, min(id::text)::uuid AS first FROM (
					SELECT id, bool_and(result <> 'SUCCESS') OVER (ORDER BY id DESC) AS failing FROM (
						SELECT id, result FROM jobs WHERE event_id = last.id AND id >= $2 AND status IN ('COMPLETED', 'FAILED') AND trigger <> 'TEST'
						ORDER BY id DESC LIMIT 50) recent) streak
				WHERE failing) run
			ORDER BY last.job DESC`, workspace, cronium.IDFloor(time.Now().AddDate(0, 0, -7)))
		if err != nil {
			return err
		}
		items, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (AttentionItem, error) {
			var a AttentionItem
			var first cronium.ID
			err := row.Scan(&a.EventID, &a.EventName, &a.Failures, &first, &a.LastJobID, &a.LastResult, &a.LastError)
			a.Since = cronium.IDTime(first)
			return a, err
		})
		return err
	})
	return items, mapError(err, "look for failing events")
}

// UsualDuration is the median run time of the event's last 20 successful
// executions; false when there are fewer than three.
func (s *Store) UsualDuration(ctx context.Context, workspace, event cronium.ID) (time.Duration, bool, error) {
	var us *float64
	var count int
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY run_us), count(*) FROM (
				SELECT x.run_us FROM (
					SELECT id FROM jobs WHERE workspace_id = $1 AND event_id = $2 AND result = 'SUCCESS' ORDER BY id DESC LIMIT 20) j
				JOIN executions x ON x.job_id = j.id AND x.status = 'SUCCESS') r`, workspace, event).Scan(&us, &count)
	})
	if err != nil || us == nil || count < 3 {
		return 0, false, mapError(err, "find usual duration")
	}
	return time.Duration(*us) * time.Microsecond, true, nil
}

// LastSuccess finds the newest job of the event before another that succeeded:
// what changed since then may be why that one failed. Nil if there is none.
func (s *Store) LastSuccess(ctx context.Context, workspace, event, before cronium.ID) (*cronium.Job, error) {
	var job *cronium.Job
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+jobColumns("j")+` FROM jobs j
			WHERE j.workspace_id = $1 AND j.event_id = $2 AND j.id < $3 AND j.result = 'SUCCESS' ORDER BY j.id DESC LIMIT 1`, workspace, event, before)
		if err != nil {
			return err
		}
		jobs, err := pgx.CollectRows(rows, rowToJob)
		if len(jobs) == 1 {
			job = &jobs[0]
		}
		return err
	})
	return job, mapError(err, "find last success")
}

// Counts are what /metrics and the Settings page show of all workspaces.
type Counts struct {
	Queued  int // accepted and not claimed, up to 10,000
	Running int // claimed or running, up to 10,000
}

// Counts counts open jobs of all workspaces.
func (s *Store) Counts(ctx context.Context) (Counts, error) {
	var c Counts
	err := s.worker.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM (SELECT 1 FROM jobs WHERE status = 'QUEUED' LIMIT 10000) q),
			(SELECT count(*) FROM (SELECT 1 FROM jobs WHERE status IN ('CLAIMED', 'RUNNING') LIMIT 10000) a)`).Scan(&c.Queued, &c.Running)
	return c, mapError(err, "count open jobs")
}
