package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"
	"hash"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Upload names a file that a script is sending. Upload is the script's own name
// for the sending: the same for all of its calls.
type Upload struct {
	WorkspaceID, JobID, ExecutionID cronium.ID
	Upload                          string // 1 to 64 characters
	Name                            string // as of cronium.ValidArtifactName
}

// arriving is a row of artifacts, locked.
type arriving struct {
	id      cronium.ID
	name    string
	size    int64
	hashing []byte // nil: it has arrived
	sha256  []byte
}

// AddArtifactPart stores a part of a file, and gives how many bytes of it are
// there. A part that is there already is not stored again. It fails with
// CodeConflict when the part does not follow what is there, and with CodeInvalid
// when the files of the execution would have more than limit bytes, or would be
// more than MaxArtifacts.
func (s *Store) AddArtifactPart(ctx context.Context, u Upload, offset int64, data []byte, limit int64) (size int64, err error) {
	err = s.workspace(ctx, u.WorkspaceID, func(tx pgx.Tx) error {
		a, err := lockUpload(ctx, tx, u)
		if err != nil {
			return err
		}
		end := offset + int64(len(data))
		switch size = a.size; {
		case end <= a.size:
			return nil // it came before
		case offset != a.size || a.hashing == nil || a.name != u.Name:
			return cronium.Errorf(cronium.CodeConflict, "A part of the artifact %s begins at byte %d, but %d bytes of it are there.", u.Name, offset, a.size)
		}
		if err := checkRoom(ctx, tx, u, end-offset, limit); err != nil {
			return err
		}
		digest, err := resumed(a.hashing)
		if err != nil {
			return err
		}
		digest.Write(data)
		state, err := digest.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO artifact_parts (execution_id, artifact_id, start, workspace_id, data) VALUES ($1, $2, $3, $4, $5)`,
			u.ExecutionID, a.id, offset, u.WorkspaceID, data)
		if err != nil {
			return err
		}
		size = end
		_, err = tx.Exec(ctx, `UPDATE artifacts SET size = $4, hashing = $5 WHERE workspace_id = $1 AND execution_id = $2 AND id = $3`,
			u.WorkspaceID, u.ExecutionID, a.id, end, state)
		return err
	})
	return size, mapError(err, "store part of an artifact")
}

// lockUpload finds the row of an upload, or makes it. Uploads of one execution
// follow one another, so that their limits hold.
func lockUpload(ctx context.Context, tx pgx.Tx, u Upload) (a arriving, err error) {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 13))`, u.ExecutionID.String()); err != nil {
		return a, err
	}
	find := func() error {
		return tx.QueryRow(ctx, `SELECT id, name, size, hashing, sha256 FROM artifacts WHERE workspace_id = $1 AND execution_id = $2 AND upload = $3`,
			u.WorkspaceID, u.ExecutionID, u.Upload).Scan(&a.id, &a.name, &a.size, &a.hashing, &a.sha256)
	}
	if err = find(); !errors.Is(err, pgx.ErrNoRows) {
		return a, err
	}
	var files int
	err = tx.QueryRow(ctx, `SELECT count(*) FROM artifacts WHERE workspace_id = $1 AND execution_id = $2 AND (name <> $3 OR sha256 IS NULL)`,
		u.WorkspaceID, u.ExecutionID, u.Name).Scan(&files)
	if err != nil {
		return a, err
	}
	if files >= cronium.MaxArtifacts {
		return a, cronium.Errorf(cronium.CodeInvalid, "A run keeps at most %d artifacts, and this one has so many. Pack them into one archive.", cronium.MaxArtifacts)
	}
	empty, err := sha256.New().(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return a, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO artifacts (execution_id, id, workspace_id, job_id, upload, name, hashing) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		u.ExecutionID, cronium.NewID(), u.WorkspaceID, u.JobID, u.Upload, u.Name, empty)
	if err != nil {
		return a, err
	}
	return a, find()
}

// checkRoom refuses bytes that the execution's files may not have any more. A file
// that this one will replace does not count.
func checkRoom(ctx context.Context, tx pgx.Tx, u Upload, more, limit int64) error {
	var kept int64
	err := tx.QueryRow(ctx, `SELECT coalesce(sum(size), 0)::bigint FROM artifacts WHERE workspace_id = $1 AND execution_id = $2 AND (name <> $3 OR sha256 IS NULL)`,
		u.WorkspaceID, u.ExecutionID, u.Name).Scan(&kept)
	if err == nil && kept+more > limit {
		return cronium.Errorf(cronium.CodeInvalid, "The artifacts of this run would have more than %d MiB, which is the event's limit (limits.artifact_mib).", limit>>20)
	}
	return err
}

func resumed(state []byte) (hash.Hash, error) {
	digest := sha256.New()
	if err := digest.(encoding.BinaryUnmarshaler).UnmarshalBinary(state); err != nil {
		return nil, fmt.Errorf("go on with the digest: %w", err)
	}
	return digest, nil
}

// EndArtifact makes a file that has arrived one of its run, in place of the one
// of the same name. Repeated, it gives the same. It fails with CodeConflict when
// what has arrived is not what the script has sent, and drops that.
func (s *Store) EndArtifact(ctx context.Context, u Upload, size int64, sum []byte) (*cronium.Artifact, error) {
	var kept *cronium.Artifact
	var wrong error
	err := s.workspace(ctx, u.WorkspaceID, func(tx pgx.Tx) error {
		a, err := lockUpload(ctx, tx, u)
		if err != nil {
			return err
		}
		if a.hashing != nil {
			digest, err := resumed(a.hashing)
			if err != nil {
				return err
			}
			a.sha256 = digest.Sum(nil)
		}
		if a.size != size || !bytes.Equal(a.sha256, sum) || a.name != u.Name {
			wrong = cronium.Errorf(cronium.CodeConflict, "Of the artifact %s other bytes have arrived than were sent. Save it again.", u.Name)
			return removeArtifacts(ctx, tx, u.ExecutionID, []cronium.ID{a.id})
		}
		if a.hashing != nil {
			if err := replaceArtifact(ctx, tx, u, a.id); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE artifacts SET hashing = NULL, sha256 = $4 WHERE workspace_id = $1 AND execution_id = $2 AND id = $3`,
				u.WorkspaceID, u.ExecutionID, a.id, a.sha256)
			if err != nil {
				return err
			}
		}
		kept, err = artifact(ctx, tx, u.WorkspaceID, u.ExecutionID, u.Name)
		return err
	})
	if err == nil {
		err = wrong
	}
	if err != nil {
		return nil, mapError(err, "keep artifact")
	}
	return kept, nil
}

// replaceArtifact removes the files of the same name.
func replaceArtifact(ctx context.Context, tx pgx.Tx, u Upload, by cronium.ID) error {
	old, err := ids(ctx, tx, `SELECT id FROM artifacts WHERE workspace_id = $1 AND execution_id = $2 AND name = $3 AND id <> $4 AND sha256 IS NOT NULL`,
		u.WorkspaceID, u.ExecutionID, u.Name, by)
	if err != nil || len(old) == 0 {
		return err
	}
	return removeArtifacts(ctx, tx, u.ExecutionID, old)
}

// removeArtifacts removes files of an execution; their objects are removed later.
func removeArtifacts(ctx context.Context, tx pgx.Tx, execution cronium.ID, list []cronium.ID) error {
	for _, sql := range []string{
		`INSERT INTO artifact_leftovers (object, workspace_id, due)
			SELECT object, workspace_id, now() FROM artifacts WHERE execution_id = $1 AND id = ANY($2) AND object <> ''
			ON CONFLICT (object) DO UPDATE SET due = now()`,
		`DELETE FROM artifact_parts WHERE execution_id = $1 AND artifact_id = ANY($2)`,
		`DELETE FROM artifacts WHERE execution_id = $1 AND id = ANY($2)`,
	} {
		if _, err := tx.Exec(ctx, sql, execution, list); err != nil {
			return err
		}
	}
	return nil
}

const artifactColumns = `execution_id, id, workspace_id, job_id, name, size, sha256, object, created_at`

func rowToArtifact(row pgx.CollectableRow) (a cronium.Artifact, err error) {
	return a, row.Scan(&a.ExecutionID, &a.ID, &a.WorkspaceID, &a.JobID, &a.Name, &a.Size, &a.SHA256, &a.Object, &a.CreatedAt)
}

func artifact(ctx context.Context, tx pgx.Tx, workspace, execution cronium.ID, name string) (*cronium.Artifact, error) {
	rows, err := tx.Query(ctx, `SELECT `+artifactColumns+` FROM artifacts WHERE workspace_id = $1 AND execution_id = $2 AND name = $3 AND sha256 IS NOT NULL`, workspace, execution, name)
	if err != nil {
		return nil, err
	}
	a, err := pgx.CollectExactlyOneRow(rows, rowToArtifact)
	return &a, err
}

// Artifact finds a file that an execution has kept.
func (s *Store) Artifact(ctx context.Context, workspace, execution cronium.ID, name string) (a *cronium.Artifact, err error) {
	err = s.read(ctx, workspace, func(tx pgx.Tx) error {
		a, err = artifact(ctx, tx, workspace, execution, name)
		return err
	})
	return a, mapError(err, "find artifact")
}

// mostArtifacts is how many files of one job are listed: its executions may have
// kept more.
const mostArtifacts = 1000

// Artifacts lists the files that a job's executions have kept, by execution and
// name: the first thousand.
func (s *Store) Artifacts(ctx context.Context, workspace, job cronium.ID) (list []cronium.Artifact, err error) {
	err = s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+artifactColumns+` FROM artifacts
			WHERE workspace_id = $1 AND job_id = $2 AND execution_id >= $3 AND sha256 IS NOT NULL ORDER BY execution_id, lower(name), name LIMIT $4`,
			workspace, job, firstPossible(job), mostArtifacts)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, rowToArtifact)
		return err
	})
	return list, mapError(err, "list artifacts")
}

// ArtifactPart reads a piece of a file that is in the database: from an offset
// to the end of the part that holds it. It is empty where there is no more.
func (s *Store) ArtifactPart(ctx context.Context, a *cronium.Artifact, from int64) (data []byte, err error) {
	err = s.read(ctx, a.WorkspaceID, func(tx pgx.Tx) error {
		var start int64
		err := tx.QueryRow(ctx, `SELECT start, data FROM artifact_parts WHERE workspace_id = $1 AND execution_id = $2 AND artifact_id = $3 AND start <= $4
			ORDER BY start DESC LIMIT 1`, a.WorkspaceID, a.ExecutionID, a.ID, from).Scan(&start, &data)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		data = data[min(from-start, int64(len(data))):]
		return err
	})
	return data, mapError(err, "read artifact")
}
