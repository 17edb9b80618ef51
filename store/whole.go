package store

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Whole is what a workspace has that can be written into files.
type Whole struct {
	Events    []WholeEvent // those that are not archived, by name
	Variables []WholeVariable
	Servers   []cronium.Server // those that are not archived, by name
}

// WholeEvent is an event with all that belongs to it.
type WholeEvent struct {
	cronium.Event
	Content   cronium.Content // of the current version
	Schedules []cronium.Schedule
	Webhooks  []cronium.Webhook
}

// WholeVariable is a variable and the events that may use it.
type WholeVariable struct {
	cronium.WorkspaceVariable
	Events []cronium.ID
}

// Whole reads it as it is at one moment.
func (s *Store) Whole(ctx context.Context, workspace cronium.ID) (*Whole, error) {
	w := &Whole{}
	err := s.inWorkspace(ctx, workspace, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", func(tx pgx.Tx) error {
		if err := w.readEvents(ctx, tx, workspace); err != nil {
			return err
		}
		if err := w.readVariables(ctx, tx, workspace); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT `+serverColumns("s")+` FROM servers s WHERE s.workspace_id = $1 AND s.archived_at IS NULL ORDER BY lower(s.name)`, workspace)
		if err != nil {
			return err
		}
		w.Servers, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (server cronium.Server, err error) {
			return server, row.Scan(scanServer(&server)...)
		})
		return err
	})
	return w, mapError(err, "read the workspace as a whole")
}

func (w *Whole) readEvents(ctx context.Context, tx pgx.Tx, workspace cronium.ID) error {
	rows, err := tx.Query(ctx, `
		SELECT `+eventColumns+`, v.content FROM events e JOIN event_versions v ON v.event_id = e.id AND v.number = e.version
		WHERE e.workspace_id = $1 AND e.status <> 'ARCHIVED' ORDER BY lower(e.name)`, workspace)
	if err != nil {
		return err
	}
	w.Events, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e WholeEvent, err error) {
		var content []byte
		if err := row.Scan(append(scanEvent(&e.Event), &content)...); err != nil {
			return e, err
		}
		return e, json.Unmarshal(content, &e.Content)
	})
	if err != nil {
		return err
	}
	of := make(map[cronium.ID]*WholeEvent, len(w.Events))
	for i := range w.Events {
		of[w.Events[i].ID] = &w.Events[i]
	}
	var schedule cronium.Schedule
	rows, err = tx.Query(ctx, `SELECT `+scheduleColumns+` FROM schedules s WHERE s.workspace_id = $1 ORDER BY s.event_id, s.name, s.id`, workspace)
	if err == nil {
		_, err = pgx.ForEachRow(rows, scanSchedule(&schedule), func() error {
			if e := of[schedule.EventID]; e != nil {
				e.Schedules = append(e.Schedules, schedule)
			}
			schedule = cronium.Schedule{}
			return nil
		})
	}
	if err != nil {
		return err
	}
	var webhook cronium.Webhook
	rows, err = tx.Query(ctx, `SELECT `+webhookColumns+` FROM webhooks w WHERE w.workspace_id = $1 ORDER BY w.event_id, lower(w.name)`, workspace)
	if err == nil {
		_, err = pgx.ForEachRow(rows, scanWebhook(&webhook), func() error {
			if e := of[webhook.EventID]; e != nil {
				e.Webhooks = append(e.Webhooks, webhook)
			}
			webhook = cronium.Webhook{}
			return nil
		})
	}
	return err
}

func (w *Whole) readVariables(ctx context.Context, tx pgx.Tx, workspace cronium.ID) error {
	rows, err := tx.Query(ctx, `
		SELECT `+variableColumns+`, coalesce((SELECT array_agg(g.event_id) FROM variable_grants g WHERE g.variable_id = v.id), '{}')
		FROM variables v WHERE v.workspace_id = $1 ORDER BY v.key, v.environment`, workspace)
	if err != nil {
		return err
	}
	w.Variables, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (v WholeVariable, err error) {
		return v, row.Scan(append(scanVariable(&v.WorkspaceVariable), &v.Events)...)
	})
	return err
}
