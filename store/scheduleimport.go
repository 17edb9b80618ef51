package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Imported is an event to be made together with its schedule.
type Imported struct {
	Event    cronium.Event
	Content  cronium.Content
	Schedule cronium.Schedule
}

// TakenNames tells which names events have that are not archived, in lower case.
func (s *Store) TakenNames(ctx context.Context, workspace cronium.ID) (map[string]bool, error) {
	taken := map[string]bool{}
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT lower(name) FROM events WHERE workspace_id = $1 AND status <> 'ARCHIVED'`, workspace)
		if err != nil {
			return err
		}
		var name string
		_, err = pgx.ForEachRow(rows, []any{&name}, func() error {
			taken[name] = true
			return nil
		})
		return err
	})
	return taken, mapError(err, "list the names of events")
}

// ImportEvents makes events with their schedules, all or none. It fills in their
// ids. It fails as CreateEvent and CreateSchedule do.
func (s *Store) ImportEvents(ctx context.Context, workspace cronium.ID, imported []Imported, note string, author Author) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		now, err := clock(ctx, tx)
		if err != nil {
			return err
		}
		for i := range imported {
			one := &imported[i]
			if err := createEvent(ctx, tx, workspace, &one.Event, one.Content, note, author); err != nil {
				return err
			}
			one.Schedule.EventID = one.Event.ID
			if err := insertSchedule(ctx, tx, workspace, now, &one.Schedule); err != nil {
				return err
			}
		}
		return nil
	})
	return mapError(err, "import events")
}
