package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// WebhookFilter chooses webhooks. Zero fields do not restrict.
type WebhookFilter struct {
	Event *cronium.ID
	Query string // part of the name or the event's name, in any case
	After *WebhookCursor
	Limit int // 1 to 200; 0 = 50
}

// WebhookCursor is where the next page begins: after this webhook.
type WebhookCursor struct {
	Name string
	ID   cronium.ID
}

// Cursor is where the page after the row begins.
func (r *WebhookRow) Cursor() WebhookCursor { return WebhookCursor{Name: r.Name, ID: r.ID} }

const webhookRow = webhookColumns + `, e.name, e.status, d.id, coalesce(d.verdict, '')`

const webhookSource = ` FROM webhooks w JOIN events e ON e.id = w.event_id
	LEFT JOIN LATERAL (SELECT id, verdict FROM webhook_deliveries WHERE webhook_id = w.id ORDER BY id DESC LIMIT 1) d ON true `

func scanWebhookRow(row pgx.CollectableRow) (r WebhookRow, err error) {
	var last *cronium.ID
	err = row.Scan(append(scanWebhook(&r.Webhook), &r.EventName, &r.EventStatus, &last, &r.LastVerdict)...)
	if last != nil {
		at := cronium.IDTime(*last)
		r.LastAt = &at
	}
	return r, err
}

// Webhooks lists webhooks by name.
func (s *Store) Webhooks(ctx context.Context, workspace cronium.ID, filter WebhookFilter) ([]WebhookRow, error) {
	conditions, args := []string{"w.workspace_id = $1"}, []any{workspace}
	add := func(condition string, value any) {
		args = append(args, value)
		conditions = append(conditions, strings.ReplaceAll(condition, "?", fmt.Sprintf("$%d", len(args))))
	}
	if filter.Event != nil {
		add("w.event_id = ?", *filter.Event)
	}
	if filter.Query != "" {
		add("(strpos(lower(w.name), lower(?)) > 0 OR strpos(lower(e.name), lower(?)) > 0)", filter.Query)
	}
	if filter.After != nil {
		args = append(args, filter.After.Name, filter.After.ID)
		conditions = append(conditions, fmt.Sprintf("(lower(w.name), w.id) > (lower($%d), $%d::uuid)", len(args)-1, len(args)))
	}
	args = append(args, pageLimit(filter.Limit))
	var list []WebhookRow
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+webhookRow+webhookSource+` WHERE `+strings.Join(conditions, " AND ")+
			fmt.Sprintf(` ORDER BY lower(w.name), w.id LIMIT $%d`, len(args)), args...)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, scanWebhookRow)
		return err
	})
	return list, mapError(err, "list webhooks")
}

// Webhook finds one webhook.
func (s *Store) Webhook(ctx context.Context, workspace, id cronium.ID) (*WebhookRow, error) {
	var found WebhookRow
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+webhookRow+webhookSource+` WHERE w.workspace_id = $1 AND w.id = $2`, workspace, id)
		if err != nil {
			return err
		}
		found, err = pgx.CollectExactlyOneRow(rows, scanWebhookRow)
		return err
	})
	if err != nil {
		return nil, mapError(err, "find webhook")
	}
	return &found, nil
}
