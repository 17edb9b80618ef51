package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"cronium.dev/cronium"
)

// Author is who saved a version: a person, also where a token of theirs did it.
type Author struct {
	ID   cronium.ID
	Name string
}

const eventColumns = `e.id, e.workspace_id, e.name, e.description, e.type, e.status, e.version, e.created_at, e.updated_at`

// scanEvent gives the destinations of eventColumns.
func scanEvent(e *cronium.Event) []any {
	return []any{&e.ID, &e.WorkspaceID, &e.Name, &e.Description, &e.Type, &e.Status, &e.Version, &e.CreatedAt, &e.UpdatedAt}
}

// CreateEvent stores a new event and its version 1. It fills in the event's id,
// workspace, version and times. The status is DRAFT unless e names another. It
// fails with CodeInvalid for what is out of bounds and with CodeConflict where
// the name is taken.
func (s *Store) CreateEvent(ctx context.Context, workspace cronium.ID, e *cronium.Event, content cronium.Content, note string, author Author) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error { return createEvent(ctx, tx, workspace, e, content, note, author) })
	return mapError(err, "create event")
}

func createEvent(ctx context.Context, tx pgx.Tx, workspace cronium.ID, e *cronium.Event, content cronium.Content, note string, author Author) error {
	if e.Status == "" {
		e.Status = cronium.EventDraft
	}
	problems := append(cronium.ValidateEvent(e.Name, e.Description, e.Type), validateVersion(&content, note)...)
	problems.Add(e.Status == cronium.EventDraft || e.Status == cronium.EventActive, "status", "must be DRAFT or ACTIVE")
	if err := problems.Err("The event"); err != nil {
		return err
	}
	e.ID, e.WorkspaceID, e.Version = cronium.NewID(), workspace, 1
	err := tx.QueryRow(ctx, `
		INSERT INTO events (id, workspace_id, name, description, type, status, version, concurrency, rate_count, rate_seconds)
		VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9) RETURNING created_at, updated_at`,
		e.ID, workspace, e.Name, e.Description, e.Type, e.Status, content.Concurrency, content.Rate.Count, content.Rate.Seconds).Scan(&e.CreatedAt, &e.UpdatedAt)
	if err != nil {
		return nameTaken(err, e.Name)
	}
	if _, err = insertVersion(ctx, tx, workspace, e.ID, 1, content, note, author); err != nil {
		return err
	}
	return saveThen(ctx, tx, e, &content, nil)
}

// nameTaken says in words that another event has the name.
func nameTaken(err error, name string) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.ConstraintName != "events_name" {
		return err
	}
	return &cronium.Error{
		Code:    cronium.CodeConflict,
		Message: fmt.Sprintf("There is already an event named %q. Choose another name, or rename or archive that one.", name),
		Fields:  []cronium.FieldError{{Field: "name", Message: "is the name of another event; upper and lower case count as the same"}},
	}
}

// Event finds one event.
func (s *Store) Event(ctx context.Context, workspace, id cronium.ID) (*cronium.Event, error) {
	var e cronium.Event
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT `+eventColumns+` FROM events e WHERE e.workspace_id = $1 AND e.id = $2`, workspace, id).Scan(scanEvent(&e)...)
	})
	if err != nil {
		return nil, mapError(err, "find event")
	}
	return &e, nil
}

// EventCount counts the events that are not archived.
func (s *Store) EventCount(ctx context.Context, workspace cronium.ID) (int, error) {
	var count int
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM events WHERE workspace_id = $1 AND status <> 'ARCHIVED'`, workspace).Scan(&count)
	})
	return count, mapError(err, "count events")
}

// EventChange is what ChangeEvent changes; what is nil or "" stays as it is.
type EventChange struct {
	Name        *string
	Description *string
	Status      cronium.EventStatus
}

// UpdateEvent changes what is not in a version: name and description.
func (s *Store) UpdateEvent(ctx context.Context, workspace, id cronium.ID, name, description string) (*cronium.Event, error) {
	return s.ChangeEvent(ctx, workspace, id, EventChange{Name: &name, Description: &description})
}

// SetEventStatus activates, pauses, archives or brings back an event, as
// EventStatus.CanBecome allows; setting the status that it has changes nothing.
func (s *Store) SetEventStatus(ctx context.Context, workspace, id cronium.ID, status cronium.EventStatus) (*cronium.Event, error) {
	var problems cronium.Problems
	problems.Add(status.Valid(), "status", "must be DRAFT, ACTIVE, PAUSED or ARCHIVED")
	if err := problems.Err("The status"); err != nil {
		return nil, err
	}
	return s.ChangeEvent(ctx, workspace, id, EventChange{Status: status})
}

// ChangeEvent changes what is not in a version, all of it or nothing.
func (s *Store) ChangeEvent(ctx context.Context, workspace, id cronium.ID, change EventChange) (*cronium.Event, error) {
	var e cronium.Event
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		if err := lockedEvent(ctx, tx, workspace, id, &e); err != nil {
			return err
		}
		if err := change.apply(&e); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `UPDATE events SET name = $3, description = $4, status = $5, updated_at = now()
			WHERE workspace_id = $1 AND id = $2 RETURNING updated_at`, workspace, id, e.Name, e.Description, e.Status).Scan(&e.UpdatedAt)
		return nameTaken(err, e.Name)
	})
	if err != nil {
		return nil, mapError(err, "change event")
	}
	return &e, nil
}

// apply changes the event in memory, where the rules allow it.
func (c EventChange) apply(e *cronium.Event) error {
	if c.Name != nil {
		e.Name = *c.Name
	}
	if c.Description != nil {
		e.Description = *c.Description
	}
	problems := cronium.ValidateEvent(e.Name, e.Description, e.Type)
	problems.Add(c.Status == "" || c.Status.Valid(), "status", "must be DRAFT, ACTIVE, PAUSED or ARCHIVED")
	if err := problems.Err("The event"); err != nil {
		return err
	}
	if c.Status == "" {
		return nil
	}
	if !e.Status.CanBecome(c.Status) {
		return cronium.Errorf(cronium.CodeConflict, "The event is %s and cannot become %s; it can become %s.", e.Status, c.Status, orList(e.Status.Next()))
	}
	e.Status = c.Status
	return nil
}

// orList writes statuses for a message to people: "ACTIVE or ARCHIVED".
func orList(statuses []cronium.EventStatus) string {
	var text strings.Builder
	for i, status := range statuses {
		switch {
		case i > 0 && i == len(statuses)-1:
			text.WriteString(" or ")
		case i > 0:
			text.WriteString(", ")
		}
		text.WriteString(string(status))
	}
	return text.String()
}

// lockedEvent reads an event that nobody else changes until the transaction
// ends. Jobs that are accepted meanwhile do not wait.
func lockedEvent(ctx context.Context, tx pgx.Tx, workspace, id cronium.ID, e *cronium.Event) error {
	return tx.QueryRow(ctx, `SELECT `+eventColumns+` FROM events e WHERE e.workspace_id = $1 AND e.id = $2 FOR NO KEY UPDATE`, workspace, id).
		Scan(scanEvent(e)...)
}

// DeleteEvent removes an event and its versions for good. Only an event that is
// archived or has never run may be deleted, and none whose jobs have not ended.
// Its jobs are not shown any more; RemoveDeleted removes them.
func (s *Store) DeleteEvent(ctx context.Context, workspace, id cronium.ID) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		var e cronium.Event
		// With this lock no job is accepted meanwhile, and one that is being
		// accepted is waited for.
		if _, err := tx.Exec(ctx, `SELECT FROM events WHERE workspace_id = $1 AND id = $2 FOR UPDATE`, workspace, id); err != nil {
			return err
		}
		if err := lockedEvent(ctx, tx, workspace, id, &e); err != nil {
			return err
		}
		var ran bool
		var open int
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM jobs WHERE event_id = $2),
			(SELECT count(*) FROM jobs WHERE workspace_id = $1 AND event_id = $2 AND status IN ('QUEUED', 'CLAIMED', 'RUNNING'))`,
			workspace, id).Scan(&ran, &open)
		switch {
		case err != nil:
			return err
		case open > 0:
			return cronium.Errorf(cronium.CodeConflict, "%d of the event's jobs have not ended. Wait for them or cancel them, then delete the event.", open)
		case ran && e.Status != cronium.EventArchived:
			return cronium.Errorf(cronium.CodeConflict, "The event has run, and its jobs and their output would be deleted with it. Archive it first; an archived event can be deleted.")
		}
		if ran {
			if _, err := tx.Exec(ctx, `INSERT INTO deleted_events (id, workspace_id) VALUES ($1, $2)`, id, workspace); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `DELETE FROM events WHERE workspace_id = $1 AND id = $2`, workspace, id)
		return err
	})
	return mapError(err, "delete event")
}

// when writes a moment for a message to people.
func when(t time.Time) string { return t.UTC().Format("15:04 on 2 January 2006 UTC") }
