package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// movingTime is how long the copy of one file into the object storage may take
// before another process may try it.
const movingTime = time.Hour

// ArtifactToMove finds a file of at least so many bytes that is in the database,
// and makes it this process's to copy into the object storage: as the object whose
// name it gives. It gives nil when there is none.
func (s *Store) ArtifactToMove(ctx context.Context, least int64) (a *cronium.Artifact, object string, err error) {
	err = s.system(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+artifactColumns+` FROM artifacts a
			WHERE object = '' AND sha256 IS NOT NULL AND size >= $1
			AND NOT EXISTS (SELECT FROM artifact_leftovers l WHERE l.object = concat_ws('/', a.workspace_id, a.execution_id, a.id) AND l.due > now())
			ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED`, least)
		if err != nil {
			return err
		}
		found, err := pgx.CollectExactlyOneRow(rows, rowToArtifact)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		a, object = &found, objectName(&found)
		_, err = tx.Exec(ctx, `INSERT INTO artifact_leftovers (object, workspace_id, due) VALUES ($1, $2, now() + $3::interval)
			ON CONFLICT (object) DO UPDATE SET due = excluded.due`, object, a.WorkspaceID, movingTime)
		return err
	})
	return a, object, mapError(err, "find an artifact to move")
}

func objectName(a *cronium.Artifact) string {
	return a.WorkspaceID.String() + "/" + a.ExecutionID.String() + "/" + a.ID.String()
}

// ArtifactMoved stores that a file is in the object storage, and removes its bytes
// here. A file that was replaced meanwhile leaves its object to be removed.
func (s *Store) ArtifactMoved(ctx context.Context, a *cronium.Artifact, object string) error {
	err := s.system(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE artifacts SET object = $3 WHERE execution_id = $1 AND id = $2 AND object = ''`, a.ExecutionID, a.ID, object)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			_, err := tx.Exec(ctx, `UPDATE artifact_leftovers SET due = now() WHERE object = $1`, object)
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM artifact_parts WHERE execution_id = $1 AND artifact_id = $2`, a.ExecutionID, a.ID); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM artifact_leftovers WHERE object = $1`, object)
		return err
	})
	return mapError(err, "store where an artifact is")
}

// ArtifactNotMoved lets the next look try again.
func (s *Store) ArtifactNotMoved(ctx context.Context, object string) error {
	_, err := s.worker.Exec(ctx, `UPDATE artifact_leftovers SET due = now() WHERE object = $1`, object)
	return mapError(err, "give up moving an artifact")
}

// LeftoverObjects lists objects whose file is gone, and puts them off, so that
// others leave them to this process for a while. What a crash has left of a file
// that is there yet is overwritten by the next try to move it.
func (s *Store) LeftoverObjects(ctx context.Context, limit int) ([]string, error) {
	rows, err := s.worker.Query(ctx, `
		UPDATE artifact_leftovers SET due = now() + interval '5 minutes' WHERE object IN (
			SELECT object FROM artifact_leftovers l WHERE due <= now() AND NOT EXISTS (
				SELECT FROM artifacts a WHERE a.execution_id = split_part(l.object, '/', 2)::uuid AND a.id = split_part(l.object, '/', 3)::uuid)
			ORDER BY due LIMIT $1 FOR UPDATE SKIP LOCKED)
		RETURNING object`, limit)
	if err != nil {
		return nil, mapError(err, "list objects that are left over")
	}
	objects, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return objects, mapError(err, "list objects that are left over")
}

// ObjectRemoved forgets an object that is gone.
func (s *Store) ObjectRemoved(ctx context.Context, object string) error {
	_, err := s.worker.Exec(ctx, `DELETE FROM artifact_leftovers WHERE object = $1`, object)
	return mapError(err, "forget an object")
}

// DropUploads removes what has arrived of files whose script has ended before all
// of it was there: of some at a time.
func (s *Store) DropUploads(ctx context.Context) error {
	err := s.system(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT a.execution_id, a.id FROM artifacts a JOIN executions e ON e.id = a.execution_id
			WHERE a.sha256 IS NULL AND e.finished_at < now() - interval '1 minute' ORDER BY a.execution_id LIMIT 100 FOR UPDATE OF a SKIP LOCKED`)
		if err != nil {
			return err
		}
		uploads, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (u [2]cronium.ID, err error) {
			return u, row.Scan(&u[0], &u[1])
		})
		if err != nil {
			return err
		}
		for _, u := range uploads {
			if err := removeArtifacts(ctx, tx, u[0], []cronium.ID{u[1]}); err != nil {
				return err
			}
		}
		return nil
	})
	return mapError(err, "remove artifacts that did not arrive")
}
