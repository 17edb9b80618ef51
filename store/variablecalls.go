package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"cronium.dev/cronium"
)

// VariableUser is a script that asks for variables.
type VariableUser struct {
	WorkspaceID cronium.ID
	EventID     cronium.ID
	EventName   string
	JobID       cronium.ID
	ExecutionID cronium.ID
	Environment string // "" = it sees those of all environments alone
	Number      uint64 // of its call
}

// forUser finds what a key means for a script: the variable of its environment,
// or else that of all. The last column tells whether it may be used.
const forUser = `SELECT ` + variableColumns + `, v.all_events OR EXISTS (SELECT FROM variable_grants g WHERE g.variable_id = v.id AND g.event_id = $4)
	FROM variables v WHERE v.workspace_id = $1 AND v.key = $2 AND v.environment IN ('', $3) ORDER BY v.environment DESC LIMIT 1`

// VariableFor reads what a key means for a script. It fails with CodeNotFound,
// and with CodeForbidden where its event was not granted the variable.
func (s *Store) VariableFor(ctx context.Context, u VariableUser, key string) (*cronium.WorkspaceVariable, error) {
	var v *cronium.WorkspaceVariable
	err := s.read(ctx, u.WorkspaceID, func(tx pgx.Tx) (err error) {
		v, err = variableFor(ctx, tx, u, key, "")
		return err
	})
	if err != nil {
		return nil, mapError(err, "read a variable")
	}
	return v, nil
}

func variableFor(ctx context.Context, tx pgx.Tx, u VariableUser, key, lock string) (*cronium.WorkspaceVariable, error) {
	var v cronium.WorkspaceVariable
	var granted bool
	err := tx.QueryRow(ctx, forUser+lock, u.WorkspaceID, key, u.Environment, u.EventID).Scan(append(scanVariable(&v), &granted)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, cronium.Errorf(cronium.CodeNotFound, "There is no variable %s%s.", key, in(u.Environment))
	}
	if err != nil {
		return nil, err
	}
	if !granted {
		return nil, cronium.Errorf(cronium.CodeForbidden, "The event %q may not use the variable %s. Its page says which events may.", u.EventName, key)
	}
	return &v, nil
}

func in(environment string) string {
	if environment == "" {
		return ""
	}
	return fmt.Sprintf(" in %s, nor for all environments", environment)
}

// ListedVariable is what a script may know of a variable without reading it.
type ListedVariable struct {
	Key    string               `json:"key"`
	Secret bool                 `json:"secret"`
	Type   cronium.VariableType `json:"type"`
}

// VariablesFor lists the variables that a script may use, by key, as far as their
// keys begin with a prefix.
func (s *Store) VariablesFor(ctx context.Context, u VariableUser, prefix string) ([]ListedVariable, error) {
	var list []ListedVariable
	err := s.read(ctx, u.WorkspaceID, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT key, secret, type FROM (
				SELECT DISTINCT ON (v.key) v.key, v.secret, v.type,
					v.all_events OR EXISTS (SELECT FROM variable_grants g WHERE g.variable_id = v.id AND g.event_id = $3) AS granted
				FROM variables v WHERE v.workspace_id = $1 AND v.environment IN ('', $2) AND starts_with(v.key, $4)
				ORDER BY v.key, v.environment DESC) f
			WHERE granted ORDER BY key`, u.WorkspaceID, u.Environment, u.EventID, prefix)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ListedVariable])
		return err
	})
	return list, mapError(err, "list variables")
}

// VariableStep is what a call makes of a variable.
type VariableStep struct {
	Set    *cronium.WorkspaceVariable // Type, Secret, Value, DataKey, Sealed and Size are taken; nil: it stays as it is
	Delete bool                       // it goes; without one there is nothing to do
	Answer any                        // becomes JSON
}

// ErrVariableOther says that a variable is not as the caller had seen it: it has to
// look again.
var ErrVariableOther = errors.New("the variable has changed")

// StepVariable lets a script change a variable, alone with it, and gives the
// answer for the script, which is kept in the same transaction: the same call
// gets it again and changes nothing. step gets the variable, nil where there is
// none, and decides; it must be quick and may be called again. It fails with
// CodeForbidden, with ErrVariableOther where keys were rotated meanwhile, and
// with step's error.
func (s *Store) StepVariable(ctx context.Context, u VariableUser, key string, step func(old *cronium.WorkspaceVariable) (VariableStep, error)) (json.RawMessage, error) {
	for {
		var answer json.RawMessage
		err := s.workspace(ctx, u.WorkspaceID, func(tx pgx.Tx) (err error) {
			answer, err = keptAnswer(ctx, tx, u)
			if answer != nil || err != nil {
				return err
			}
			answer, err = stepVariable(ctx, tx, u, key, step)
			return err
		})
		switch {
		case err == nil:
			return answer, nil
		case errors.Is(err, errAnswered): // the same call was worked on by another process
			continue
		case foreignKeyBroken(err):
			return nil, fmt.Errorf("%w: %w", ErrVariableOther, err)
		case errors.Is(err, ErrVariableOther):
			return nil, err
		}
		return nil, mapError(err, "change a variable")
	}
}

// errAnswered says that the call has been answered since it was looked at.
var errAnswered = errors.New("the call is answered")

func stepVariable(ctx context.Context, tx pgx.Tx, u VariableUser, key string, step func(old *cronium.WorkspaceVariable) (VariableStep, error)) (json.RawMessage, error) {
	for {
		old, err := variableFor(ctx, tx, u, key, ` FOR NO KEY UPDATE OF v`)
		if cronium.CodeOf(err) == cronium.CodeNotFound {
			old, err = nil, nil
		}
		if err != nil {
			return nil, err
		}
		todo, err := step(old)
		if err != nil {
			return nil, err
		}
		done, err := takeStep(ctx, tx, u, key, old, todo)
		if err != nil {
			return nil, err
		}
		if done {
			return keepAnswer(ctx, tx, u, todo.Answer)
		}
		// Another script made the variable at the same time.
	}
}

// takeStep stores what a step decided; false: the variable exists meanwhile.
func takeStep(ctx context.Context, tx pgx.Tx, u VariableUser, key string, old *cronium.WorkspaceVariable, todo VariableStep) (bool, error) {
	by := fmt.Sprintf("event %s", u.EventName)
	switch {
	case todo.Delete && old != nil:
		return true, removeVariable(ctx, tx, old)
	case todo.Set == nil:
		return true, nil
	case old == nil:
		v := *todo.Set
		v.ID, v.WorkspaceID, v.Key, v.Environment, v.AllEvents = cronium.NewID(), u.WorkspaceID, key, u.Environment, true
		v.UpdatedBy, v.JobID = by, &u.JobID
		return insertVariable(ctx, tx, &v)
	}
	v := *old
	v.Type, v.Secret, v.Value, v.DataKey, v.Sealed, v.Size = todo.Set.Type, todo.Set.Secret, todo.Set.Value, todo.Set.DataKey, todo.Set.Sealed, todo.Set.Size
	v.UpdatedBy, v.JobID = by, &u.JobID
	if err := replaceVariable(ctx, tx, old, &v, "value"); err != nil {
		return false, err
	}
	todo.Set.Version = v.Version
	return true, nil
}

// keptAnswers is how many answers of an execution are kept: an agent waits for no
// more than 64 at a time, and is sent the answers in their order.
const keptAnswers = 64

func keptAnswer(ctx context.Context, tx pgx.Tx, u VariableUser) (json.RawMessage, error) {
	var answer json.RawMessage
	err := tx.QueryRow(ctx, `SELECT answer FROM helper_calls WHERE execution_id = $1 AND number = $2`, u.ExecutionID, u.Number).Scan(&answer)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return answer, err
}

func keepAnswer(ctx context.Context, tx pgx.Tx, u VariableUser, value any) (json.RawMessage, error) {
	answer, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write the answer: %w", err)
	}
	tag, err := tx.Exec(ctx, `INSERT INTO helper_calls (execution_id, number, workspace_id, answer) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		u.ExecutionID, u.Number, u.WorkspaceID, json.RawMessage(answer))
	if err != nil {
		return nil, err
	}
	if tag.RowsAffected() == 0 {
		return nil, errAnswered // so nothing of this is committed
	}
	if u.Number%keptAnswers == 0 {
		_, err = tx.Exec(ctx, `DELETE FROM helper_calls WHERE execution_id = $1 AND number <= (
			SELECT number FROM helper_calls WHERE execution_id = $1 ORDER BY number DESC OFFSET $2 LIMIT 1)`, u.ExecutionID, 2*keptAnswers)
	}
	return answer, err
}

// KeptAnswer gives the answer that KeepAnswer kept for a call; nil if there is
// none.
func (s *Store) KeptAnswer(ctx context.Context, workspace, execution cronium.ID, number uint64) (json.RawMessage, error) {
	var answer json.RawMessage
	err := s.read(ctx, workspace, func(tx pgx.Tx) (err error) {
		answer, err = keptAnswer(ctx, tx, VariableUser{ExecutionID: execution, Number: number})
		return err
	})
	return answer, mapError(err, "look for the answer to a call")
}

// KeepAnswer keeps the answer to a call that had an effect outside of the
// database, until the execution ends: the call may come again. It must hold no
// secret. The first answer counts.
func (s *Store) KeepAnswer(ctx context.Context, workspace, execution cronium.ID, number uint64, answer json.RawMessage) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		_, err := keepAnswer(ctx, tx, VariableUser{WorkspaceID: workspace, ExecutionID: execution, Number: number}, answer)
		return err
	})
	if errors.Is(err, errAnswered) {
		return nil
	}
	return mapError(err, "keep the answer to a call")
}

// ForgetAnswers removes the answers to calls of executions that have ended, and
// secrets that were replaced before any of those began that have not.
func (s *Store) ForgetAnswers(ctx context.Context) error {
	_, err := s.worker.Exec(ctx, `DELETE FROM helper_calls h USING (SELECT DISTINCT execution_id FROM helper_calls) d
		WHERE h.execution_id = d.execution_id
		AND NOT EXISTS (SELECT FROM executions e WHERE e.id = d.execution_id AND e.status IN ('PENDING', 'RUNNING'))`)
	if err != nil {
		return mapError(err, "remove answers to calls")
	}
	_, err = s.worker.Exec(ctx, `DELETE FROM retired_secrets r WHERE retired_at < now() - interval '1 minute'
		AND NOT EXISTS (SELECT FROM executions e WHERE e.status IN ('PENDING', 'RUNNING')
			AND e.workspace_id = r.workspace_id AND coalesce(e.started_at, now()) <= r.retired_at + interval '1 minute')`)
	return mapError(err, "remove replaced secrets")
}

// uniqueBroken tells whether err says that something like this exists.
func uniqueBroken(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505"
}
