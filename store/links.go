package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// saveThen checks what follows an event and stores which events do. A circle
// of events is refused and named. It is for an event that is being saved; kept
// are the actions that it had, whose events may be gone or archived since.
func saveThen(ctx context.Context, tx pgx.Tx, e *cronium.Event, content *cronium.Content, kept []cronium.Action) error {
	if _, err := tx.Exec(ctx, `DELETE FROM event_links WHERE event_id = $1`, e.ID); err != nil {
		return err
	}
	var problems cronium.Problems
	for i, a := range content.Then {
		known := slices.ContainsFunc(kept, func(k cronium.Action) bool { return k.Event.ID == a.Event.ID })
		if err := linkEvent(ctx, tx, e, a.Event.ID, known, fmt.Sprintf("then[%d].event.id", i), &problems); err != nil {
			return err
		}
	}
	return problems.Err("The event")
}

// linkEvent notes that next follows e, or what is wrong with that.
func linkEvent(ctx context.Context, tx pgx.Tx, e *cronium.Event, next cronium.ID, known bool, field string, problems *cronium.Problems) error {
	// Two that are saved at the same time must not make a circle together.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('event_links ' || $1::text, 0))`, e.WorkspaceID); err != nil {
		return err
	}
	var status cronium.EventStatus
	err := tx.QueryRow(ctx, `SELECT status FROM events WHERE workspace_id = $1 AND id = $2 FOR KEY SHARE`, e.WorkspaceID, next).Scan(&status)
	if err == pgx.ErrNoRows {
		problems.Add(known, field, "must be an event of this workspace")
		return nil
	}
	if err != nil {
		return err
	}
	if next == e.ID {
		problems.Add(false, field, "is this event itself; it would run for ever")
		return nil
	}
	if status == cronium.EventArchived && !known {
		problems.Add(false, field, "is archived and does not run; bring it back first")
		return nil
	}
	circle, err := pathBetween(ctx, tx, next, e.ID)
	if err != nil {
		return err
	}
	if len(circle) > 0 {
		names := append([]string{e.Name}, circle...)
		problems.Add(false, field, "would make a circle that never ends: %s", strings.Join(names, " → "))
		return nil
	}
	_, err = tx.Exec(ctx, `INSERT INTO event_links (event_id, next_id, workspace_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, e.ID, next, e.WorkspaceID)
	return err
}

// pathBetween gives the names of events that lead from one to another, both of
// them too; none where no way does.
func pathBetween(ctx context.Context, tx pgx.Tx, from, to cronium.ID) ([]string, error) {
	var names []string
	err := tx.QueryRow(ctx, `
		WITH RECURSIVE way (id, names) AS (
			SELECT id, ARRAY[name] FROM events WHERE id = $1
			UNION ALL
			SELECT e.id, w.names || e.name FROM way w JOIN event_links l ON l.event_id = w.id JOIN events e ON e.id = l.next_id
		) CYCLE id SET seen USING path
		SELECT names FROM way WHERE id = $2 AND NOT seen LIMIT 1`, from, to).Scan(&names)
	if err == pgx.ErrNoRows {
		return nil, nil
	}
	return names, err
}

// LeadsTo lists the events after which an event runs, by name.
func (s *Store) LeadsTo(ctx context.Context, workspace, event cronium.ID) ([]cronium.Event, error) {
	var events []cronium.Event
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+eventColumns+` FROM event_links l JOIN events e ON e.id = l.event_id
			WHERE l.workspace_id = $1 AND l.next_id = $2 AND e.status <> 'ARCHIVED' ORDER BY lower(e.name)`, workspace, event)
		if err != nil {
			return err
		}
		events, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e cronium.Event, err error) { return e, row.Scan(scanEvent(&e)...) })
		return err
	})
	return events, mapError(err, "list events that lead to another")
}
