package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Draft is a content that is run without being saved: that of a test run.
type Draft struct {
	Content cronium.Content
	Author  Author
}

// EnqueueDraft stores a job, the draft that it runs, and what queue adds, all of
// it or nothing. The draft is a version of the event with the next number below
// zero, which the history does not show; j.Version is set to it before queue is
// called. It fails with CodeInvalid for a content that is out of bounds and with
// CodeNotFound when the event is gone.
func (s *Store) EnqueueDraft(ctx context.Context, j *cronium.Job, draft Draft, queue func(context.Context, pgx.Tx) error) error {
	if err := validateVersion(&draft.Content, "").Err("The event"); err != nil {
		return err
	}
	err := s.workspace(ctx, j.WorkspaceID, func(tx pgx.Tx) error {
		var e cronium.Event
		if err := lockedEvent(ctx, tx, j.WorkspaceID, j.EventID, &e); err != nil {
			return err
		}
		var lowest int
		err := tx.QueryRow(ctx, `SELECT least(min(number), 0) FROM event_versions WHERE workspace_id = $1 AND event_id = $2`, j.WorkspaceID, j.EventID).Scan(&lowest)
		if err != nil {
			return err
		}
		j.Version = lowest - 1
		if _, err := insertVersion(ctx, tx, j.WorkspaceID, j.EventID, j.Version, draft.Content, "", draft.Author); err != nil {
			return err
		}
		if err := insertJob(ctx, tx, j); err != nil {
			return err
		}
		return queue(ctx, tx)
	})
	return mapError(err, "accept test run")
}

// lockDraft keeps the draft that a job is about to name from being removed. It
// fails with pgx.ErrNoRows when there is none.
func lockDraft(ctx context.Context, tx pgx.Tx, j *cronium.Job) error {
	tag, err := tx.Exec(ctx, `SELECT FROM event_versions WHERE workspace_id = $1 AND event_id = $2 AND number = $3 FOR KEY SHARE`,
		j.WorkspaceID, j.EventID, j.Version)
	if err == nil && tag.RowsAffected() == 0 {
		err = pgx.ErrNoRows
	}
	return err
}

// draftGrace is how long a draft that no job names is kept.
const draftGrace = time.Hour

// dropDrafts removes drafts that no job names, some at a time.
func (s *Store) dropDrafts(ctx context.Context) error {
	const most = 100
	for {
		found, dropped := 0, int64(0)
		err := s.system(ctx, func(tx pgx.Tx) error {
			// Locked first and looked at again afterwards: a job that is being
			// accepted has locked its draft, and is there when that ends.
			rows, err := tx.Query(ctx, `
				SELECT event_id, number FROM event_versions v
				WHERE number < 0 AND created_at < now() - $1::interval
					AND NOT EXISTS (SELECT FROM jobs j WHERE j.event_id = v.event_id AND j.version = v.number AND j.version < 0)
				ORDER BY created_at LIMIT $2 FOR UPDATE OF v SKIP LOCKED`, draftGrace, most)
			if err != nil {
				return err
			}
			var event cronium.ID
			var number int
			var events []cronium.ID
			var numbers []int
			_, err = pgx.ForEachRow(rows, []any{&event, &number}, func() error {
				events, numbers = append(events, event), append(numbers, number)
				return nil
			})
			if err != nil {
				return err
			}
			found = len(events)
			tag, err := tx.Exec(ctx, `
				DELETE FROM event_versions v USING unnest($1::uuid[], $2::int[]) AS d (event_id, number)
				WHERE v.event_id = d.event_id AND v.number = d.number
					AND NOT EXISTS (SELECT FROM jobs j WHERE j.event_id = v.event_id AND j.version = v.number AND j.version < 0)`, events, numbers)
			dropped = tag.RowsAffected()
			return err
		})
		if err != nil || found < most || dropped == 0 {
			return mapError(err, "remove drafts that no job names")
		}
	}
}
