package store

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Turn is how far a queue is, or a lane of it.
type Turn struct {
	Queue       string           // a queue, without the process of an agent's
	WorkspaceID cronium.ID       // of a lane
	Priority    cronium.Priority // of a lane; "": the queue's clock
	Turn        int64
}

// turnZero is the time of turn 0. Turns are microseconds since then, the
// smallest step of the database's times; a million entries a day take thirty
// years to make one hour of them.
var turnZero = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// turnEnd is when times begin that are none of turns.
var turnEnd = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// TurnTime is the scheduled time of the entry whose turn it is.
func TurnTime(turn int64) time.Time { return turnZero.Add(time.Duration(turn) * time.Microsecond) }

// TurnOf is the turn that a scheduled time stands for; false for a real time.
func TurnOf(at time.Time) (int64, bool) { return at.Sub(turnZero).Microseconds(), at.Before(turnEnd) }

// TurnQueue is the queue whose clock an entry goes by: the queues of agents, one
// for each process that is connected to some, have one.
func TurnQueue(queue string) string {
	if agents := string(cronium.TargetAgent); strings.HasPrefix(queue, agents+"-") {
		return agents
	}
	return queue
}

// SyncTurns stores the turns that a process knows, where they are later than
// those that are stored, and returns all that are. Lanes that nobody was ahead
// in for an hour are forgotten.
func (s *Store) SyncTurns(ctx context.Context, known []Turn) ([]Turn, error) {
	queues, workspaces := make([]string, len(known)), make([]cronium.ID, len(known))
	priorities, at := make([]string, len(known)), make([]int64, len(known))
	for i, k := range known {
		queues[i], workspaces[i], priorities[i], at[i] = k.Queue, k.WorkspaceID, string(k.Priority), k.Turn
	}
	var all []Turn
	err := s.system(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO queue_turns (queue, workspace_id, priority, turn)
			SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bigint[]) AS k (queue, workspace_id, priority, turn) ORDER BY 1, 2, 3
			ON CONFLICT (queue, workspace_id, priority) DO UPDATE SET turn = excluded.turn, updated_at = now()
			WHERE queue_turns.turn < excluded.turn`, queues, workspaces, priorities, at)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM queue_turns WHERE priority <> '' AND updated_at < now() - interval '1 hour'`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT queue, workspace_id, priority, turn FROM queue_turns`)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Turn])
		return err
	})
	return all, mapError(err, "share the queue's turns")
}

// GiveTurns gives a turn to up to 1,000 entries of the queues that may be worked
// on and have none, in the order in which they became due.
func (s *Store) GiveTurns(ctx context.Context, queues []string, next func(queue string, workspace cronium.ID, priority cronium.Priority) int64) error {
	err := s.system(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT id, queue, (args->>'workspace_id')::uuid, coalesce(args->>'priority', 'NORMAL') FROM river_job
			WHERE state = 'available' AND queue = ANY($1) AND priority = 1 AND scheduled_at > $2 AND scheduled_at < now() AND kind = 'run'
			ORDER BY scheduled_at, id LIMIT 1000 FOR UPDATE SKIP LOCKED`, queues, turnEnd)
		if err != nil {
			return err
		}
		var ids []int64
		var turns []time.Time
		var id int64
		var queue, priority string
		var workspace cronium.ID
		_, err = pgx.ForEachRow(rows, []any{&id, &queue, &workspace, &priority}, func() error {
			ids, turns = append(ids, id), append(turns, TurnTime(next(TurnQueue(queue), workspace, cronium.Priority(priority))))
			return nil
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE river_job SET scheduled_at = t.at FROM unnest($1::bigint[], $2::timestamptz[]) AS t (id, at)
			WHERE river_job.id = t.id AND river_job.state = 'available'`, ids, turns)
		return err
	})
	return mapError(err, "give turns to what waits")
}
