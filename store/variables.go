package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// keptChanges is how many of its latest versions a variable's history has, and
// keptValue how long a value may be to be kept there, in bytes.
const (
	keptChanges = 50
	keptValue   = 16 << 10
)

const variableColumns = `v.id, v.workspace_id, v.key, v.environment, v.type, v.secret, v.description, v.value,
	coalesce(v.data_key, 0), v.sealed, v.size, v.all_events, v.version, v.created_at, v.updated_at, v.updated_by, v.job_id`

func scanVariable(v *cronium.WorkspaceVariable) []any {
	return []any{&v.ID, &v.WorkspaceID, &v.Key, &v.Environment, &v.Type, &v.Secret, &v.Description, &v.Value,
		&v.DataKey, &v.Sealed, &v.Size, &v.AllEvents, &v.Version, &v.CreatedAt, &v.UpdatedAt, &v.UpdatedBy, &v.JobID}
}

// Variable reads a variable, for people.
func (s *Store) Variable(ctx context.Context, workspace, id cronium.ID) (*cronium.WorkspaceVariable, error) {
	var v cronium.WorkspaceVariable
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT `+variableColumns+` FROM variables v WHERE v.workspace_id = $1 AND v.id = $2`, workspace, id).Scan(scanVariable(&v)...)
	})
	if err != nil {
		return nil, mapError(err, "read a variable")
	}
	return &v, nil
}

// VariableNamed reads the variable of a key and an environment, "" for that of all.
func (s *Store) VariableNamed(ctx context.Context, workspace cronium.ID, key, environment string) (*cronium.WorkspaceVariable, error) {
	var v cronium.WorkspaceVariable
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT `+variableColumns+` FROM variables v WHERE v.workspace_id = $1 AND v.key = $2 AND v.environment = $3`,
			workspace, key, environment).Scan(scanVariable(&v)...)
	})
	if err != nil {
		return nil, mapError(err, "read a variable")
	}
	return &v, nil
}

// CreateVariable stores a new variable, whose id and value or sealed value are
// set, and who may use it. It fails with CodeConflict where there is one of the
// key and the environment.
func (s *Store) CreateVariable(ctx context.Context, v *cronium.WorkspaceVariable, events []cronium.ID) error {
	err := s.workspace(ctx, v.WorkspaceID, func(tx pgx.Tx) error {
		inserted, err := insertVariable(ctx, tx, v)
		if err == nil && !inserted {
			err = keyTaken(v)
		}
		if err != nil {
			return err
		}
		return s.setGrants(ctx, tx, v, events)
	})
	return mapVariable(err, "store a variable")
}

func keyTaken(v *cronium.WorkspaceVariable) error {
	where := "for all environments"
	if v.Environment != "" {
		where = "in " + v.Environment
	}
	return &cronium.Error{Code: cronium.CodeConflict, Message: "There is a variable " + v.Key + " " + where + " already.",
		Fields: []cronium.FieldError{{Field: "key", Message: "is taken " + where}}}
}

// mapVariable is mapError, where a foreign key that is broken means that keys
// were rotated meanwhile.
func mapVariable(err error, what string) error {
	if foreignKeyBroken(err) {
		return &cronium.Error{Code: cronium.CodeConflict, Message: "Keys were rotated while this was saved. Save it again.", Err: errors.Join(errRotated, err)}
	}
	return mapError(err, what)
}

// errRotated says that what a value was sealed with is gone.
var errRotated = errors.New("the data key was replaced meanwhile")

// insertVariable stores a new variable and the first step of its history; false:
// there is one of the key and the environment.
func insertVariable(ctx context.Context, tx pgx.Tx, v *cronium.WorkspaceVariable) (bool, error) {
	var count, bytes int
	err := tx.QueryRow(ctx, `SELECT count(*), coalesce(sum(size) FILTER (WHERE secret), 0) FROM variables WHERE workspace_id = $1`, v.WorkspaceID).Scan(&count, &bytes)
	if err != nil {
		return false, err
	}
	if count >= cronium.MaxWorkspaceVariables {
		return false, cronium.Errorf(cronium.CodeConflict, "The workspace has %d variables, which is the most. Delete some that nothing uses.", count)
	}
	if err := secretsFit(v, bytes); err != nil {
		return false, err
	}
	v.Version = 1
	err = tx.QueryRow(ctx, `INSERT INTO variables (id, workspace_id, key, environment, type, secret, description, value, data_key, sealed, size, all_events, updated_by, job_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, nullif($9, 0), $10, $11, $12, $13, $14)
		ON CONFLICT (workspace_id, key, environment) DO NOTHING RETURNING created_at, updated_at`,
		v.ID, v.WorkspaceID, v.Key, v.Environment, v.Type, v.Secret, v.Description, v.Value, v.DataKey, v.Sealed, v.Size, v.AllEvents, v.UpdatedBy, v.JobID).
		Scan(&v.CreatedAt, &v.UpdatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, addChange(ctx, tx, v, "created")
}

// secretsFit refuses a secret with which a workspace would have too many bytes of
// them: others says how many it has.
func secretsFit(v *cronium.WorkspaceVariable, others int) error {
	if v.Secret && others+v.Size > cronium.MaxSecretsBytes {
		return cronium.Errorf(cronium.CodeConflict, "All secrets of a workspace together may be %d KiB long, because each run's output is searched for them. Delete some that nothing uses.", cronium.MaxSecretsBytes>>10)
	}
	return nil
}

// addChange adds the present version to the history and removes what is too old
// for it.
func addChange(ctx context.Context, tx pgx.Tx, v *cronium.WorkspaceVariable, what string) error {
	value := v.Value
	if len(value) > keptValue {
		value = nil
	}
	batch := &pgx.Batch{}
	batch.Queue(`INSERT INTO variable_changes (variable_id, workspace_id, version, what, type, value, size, by_name, job_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		v.ID, v.WorkspaceID, v.Version, what, v.Type, value, v.Size, v.UpdatedBy, v.JobID)
	batch.Queue(`DELETE FROM variable_changes WHERE variable_id = $1 AND version <= $2`, v.ID, v.Version-keptChanges)
	return tx.SendBatch(ctx, batch).Close()
}

// retire keeps the present value of a secret that is about to be replaced or
// deleted, for masking.
func retire(ctx context.Context, tx pgx.Tx, v *cronium.WorkspaceVariable) error {
	if !v.Secret {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO retired_secrets (variable_id, version, workspace_id, data_key, sealed)
		SELECT id, version, workspace_id, data_key, sealed FROM variables WHERE id = $1 ON CONFLICT DO NOTHING`, v.ID)
	return err
}

// replaceVariable stores what a variable is from now on. old is the row as it is,
// locked.
func replaceVariable(ctx context.Context, tx pgx.Tx, old, v *cronium.WorkspaceVariable, what string) error {
	if err := retire(ctx, tx, old); err != nil {
		return err
	}
	if v.Secret && v.Size > old.Size || v.Secret && !old.Secret {
		var others int
		if err := tx.QueryRow(ctx, `SELECT coalesce(sum(size), 0) FROM variables WHERE workspace_id = $1 AND secret AND id <> $2`, v.WorkspaceID, v.ID).Scan(&others); err != nil {
			return err
		}
		if err := secretsFit(v, others); err != nil {
			return err
		}
	}
	v.Version = old.Version + 1
	err := tx.QueryRow(ctx, `UPDATE variables SET key = $2, environment = $3, type = $4, secret = $5, description = $6, value = $7, data_key = nullif($8, 0), sealed = $9,
		size = $10, all_events = $11, version = $12, updated_at = now(), updated_by = $13, job_id = $14 WHERE id = $1 RETURNING updated_at`,
		v.ID, v.Key, v.Environment, v.Type, v.Secret, v.Description, v.Value, v.DataKey, v.Sealed, v.Size, v.AllEvents, v.Version, v.UpdatedBy, v.JobID).Scan(&v.UpdatedAt)
	if uniqueBroken(err) {
		return keyTaken(v)
	}
	if err != nil {
		return err
	}
	if v.Secret && !old.Secret { // earlier values were readable; they are not to stay so
		if _, err := tx.Exec(ctx, `UPDATE variable_changes SET value = NULL WHERE variable_id = $1`, v.ID); err != nil {
			return err
		}
	}
	return addChange(ctx, tx, v, what)
}

// ChangeVariable stores what a person has changed of a variable: all of v, and who
// may use it (nil: as it is). v.Version is the one that was changed; where that is
// not the present one any more it fails with CodeConflict. what says for the
// history what was changed.
func (s *Store) ChangeVariable(ctx context.Context, v *cronium.WorkspaceVariable, events []cronium.ID, what string) error {
	err := s.workspace(ctx, v.WorkspaceID, func(tx pgx.Tx) error {
		var old cronium.WorkspaceVariable
		if err := lockedVariable(ctx, tx, v.WorkspaceID, v.ID, &old); err != nil {
			return err
		}
		if old.Version != v.Version {
			return cronium.Errorf(cronium.CodeConflict, "The variable was changed by %s meanwhile. Look at it again, then save your change.", old.UpdatedBy)
		}
		if old.Secret && !v.Secret && v.Value == nil {
			return cronium.Errorf(cronium.CodeInvalid, "A secret that becomes readable needs a new value.")
		}
		if err := replaceVariable(ctx, tx, &old, v, what); err != nil {
			return err
		}
		if events == nil && !v.AllEvents {
			return nil
		}
		return s.setGrants(ctx, tx, v, events)
	})
	return mapVariable(err, "change a variable")
}

func lockedVariable(ctx context.Context, tx pgx.Tx, workspace, id cronium.ID, v *cronium.WorkspaceVariable) error {
	return tx.QueryRow(ctx, `SELECT `+variableColumns+` FROM variables v WHERE v.workspace_id = $1 AND v.id = $2 FOR NO KEY UPDATE`, workspace, id).Scan(scanVariable(v)...)
}

// DeleteVariable removes a variable and its history.
func (s *Store) DeleteVariable(ctx context.Context, workspace, id cronium.ID) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		var v cronium.WorkspaceVariable
		if err := lockedVariable(ctx, tx, workspace, id, &v); err != nil {
			return err
		}
		return removeVariable(ctx, tx, &v)
	})
	return mapError(err, "delete a variable")
}

func removeVariable(ctx context.Context, tx pgx.Tx, v *cronium.WorkspaceVariable) error {
	if err := retire(ctx, tx, v); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM variables WHERE id = $1`, v.ID)
	return err
}

// setGrants says which events may use a variable; with AllEvents none is named.
// Events of other workspaces, and deleted ones, are refused.
func (s *Store) setGrants(ctx context.Context, tx pgx.Tx, v *cronium.WorkspaceVariable, events []cronium.ID) error {
	if v.AllEvents {
		events = nil
	}
	if len(events) > cronium.MaxGrants {
		return cronium.Errorf(cronium.CodeInvalid, "A variable can be for %d events at most, or for all.", cronium.MaxGrants)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM variable_grants WHERE variable_id = $1`, v.ID); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `INSERT INTO variable_grants (variable_id, event_id, workspace_id)
		SELECT DISTINCT $1::uuid, e.id, $2::uuid FROM events e WHERE e.workspace_id = $2 AND e.id = ANY($3)`, v.ID, v.WorkspaceID, events)
	if err != nil {
		return err
	}
	distinct := map[cronium.ID]bool{}
	for _, id := range events {
		distinct[id] = true
	}
	if int(tag.RowsAffected()) != len(distinct) {
		return &cronium.Error{Code: cronium.CodeInvalid, Message: "The variable was not accepted.",
			Fields: []cronium.FieldError{{Field: "events", Message: "must be events of this workspace"}}}
	}
	return nil
}
