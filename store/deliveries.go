package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Bounds of what is kept of requests to webhooks.
const (
	deliveriesKept = 14 * 24 * time.Hour
	refusedKept    = 100 // of those that were not verified, of one webhook
)

// Seen is something that a repetition of a request has as well.
type Seen struct {
	Key     []byte // SHA-256 of its signature, or of its name
	Request []byte // SHA-256 of its body
	For     time.Duration
}

// AcceptDelivery stores a job, what queue adds, the delivery that brought it, and
// what tells its repetition, in one transaction. Where one of seen was there, it
// stores nothing and gives the job of then; where that had another body, it fails
// with CodeConflict. It fails with CodeNotFound when the event is gone.
func (s *Store) AcceptDelivery(ctx context.Context, d *cronium.Delivery, seen []Seen, job *cronium.Job, queue func(context.Context, pgx.Tx) error) (first *cronium.ID, err error) {
	err = s.workspace(ctx, d.WorkspaceID, func(tx pgx.Tx) error {
		for _, one := range seen {
			if first, err = claimSeen(ctx, tx, d, one, job.ID); err != nil {
				return err
			}
			if first != nil {
				return errSeen
			}
		}
		if err := insertJob(ctx, tx, job); err != nil {
			return err
		}
		if err := insertDelivery(ctx, tx, d); err != nil {
			return err
		}
		return queue(ctx, tx)
	})
	if errors.Is(err, errSeen) {
		return first, nil
	}
	return nil, mapError(err, "accept delivery")
}

// errSeen takes the transaction back.
var errSeen = errors.New("it came before")

var errOtherBody = cronium.Errorf(cronium.CodeConflict, "A request of the same name came before with another body. Give each request a name of its own.")

// claimSeen notes something that was seen; it gives the job of an earlier request.
// Who comes while another notes the same waits for it.
func claimSeen(ctx context.Context, tx pgx.Tx, d *cronium.Delivery, seen Seen, job cronium.ID) (*cronium.ID, error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO webhook_seen (webhook_id, key, workspace_id, request, job_id, expires_at) VALUES ($1, $2, $3, $4, $5, now() + $6)
		ON CONFLICT (webhook_id, key) DO UPDATE SET request = excluded.request, job_id = excluded.job_id, expires_at = excluded.expires_at
		WHERE webhook_seen.expires_at < now()`,
		d.WebhookID, seen.Key, d.WorkspaceID, seen.Request, job, seen.For)
	if err != nil || tag.RowsAffected() == 1 {
		return nil, err
	}
	var request []byte
	var first cronium.ID
	err = tx.QueryRow(ctx, `SELECT request, job_id FROM webhook_seen WHERE webhook_id = $1 AND key = $2`, d.WebhookID, seen.Key).Scan(&request, &first)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(request, seen.Request) {
		return nil, errOtherBody
	}
	return &first, nil
}

func insertDelivery(ctx context.Context, tx pgx.Tx, d *cronium.Delivery) error {
	headers := d.Headers
	if headers == nil {
		headers = []cronium.DeliveryHeader{}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO webhook_deliveries (id, workspace_id, webhook_id, verdict, verified, reason, status, address, content_type, headers, body, size, job_id, replay_of, by_name)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		d.ID, d.WorkspaceID, d.WebhookID, d.Verdict, d.Verified, d.Reason, d.Status, d.Address, d.ContentType, headers, d.Body, d.Size, d.JobID, d.ReplayOf, d.By)
	if err != nil {
		return fmt.Errorf("insert delivery: %w", err)
	}
	return nil
}

// RecordDelivery stores a delivery that made no job.
func (s *Store) RecordDelivery(ctx context.Context, d *cronium.Delivery) error {
	err := s.workspace(ctx, d.WorkspaceID, func(tx pgx.Tx) error { return insertDelivery(ctx, tx, d) })
	return mapError(err, "record delivery")
}

const deliveryColumns = `id, workspace_id, webhook_id, verdict, verified, reason, status, address, content_type, headers, size, job_id, replay_of, by_name`

func scanDelivery(d *cronium.Delivery) []any {
	return []any{&d.ID, &d.WorkspaceID, &d.WebhookID, &d.Verdict, &d.Verified, &d.Reason, &d.Status, &d.Address, &d.ContentType, &d.Headers, &d.Size, &d.JobID, &d.ReplayOf, &d.By}
}

// DeliveryFilter chooses deliveries of one webhook. Zero fields do not restrict.
type DeliveryFilter struct {
	Verdict cronium.Verdict
	After   *cronium.ID // the next page begins before this one
	Limit   int         // 1 to 200; 0 = 50
}

// Deliveries lists deliveries of a webhook, the newest first, without bodies.
func (s *Store) Deliveries(ctx context.Context, workspace, webhook cronium.ID, filter DeliveryFilter) ([]cronium.Delivery, error) {
	var list []cronium.Delivery
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+deliveryColumns+` FROM webhook_deliveries
			WHERE workspace_id = $1 AND webhook_id = $2 AND ($3 = '' OR verdict = $3) AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $5`,
			workspace, webhook, string(filter.Verdict), filter.After, pageLimit(filter.Limit))
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d cronium.Delivery, err error) {
			err = row.Scan(scanDelivery(&d)...)
			d.At = cronium.IDTime(d.ID)
			return d, err
		})
		return err
	})
	return list, mapError(err, "list deliveries")
}

// Delivery finds one delivery with its body.
func (s *Store) Delivery(ctx context.Context, workspace, id cronium.ID) (*cronium.Delivery, error) {
	var d cronium.Delivery
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT `+deliveryColumns+`, body FROM webhook_deliveries WHERE workspace_id = $1 AND id = $2`, workspace, id).
			Scan(append(scanDelivery(&d), &d.Body)...)
	})
	if err != nil {
		return nil, mapError(err, "find delivery")
	}
	d.At = cronium.IDTime(d.ID)
	return &d, nil
}

// dropOldDeliveries removes deliveries and signatures that are too old to matter,
// and of those that nobody has verified all but the newest of each webhook.
func (s *Store) dropOldDeliveries(ctx context.Context, now time.Time) error {
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{`DELETE FROM webhook_deliveries WHERE id < $1`, []any{cronium.IDFloor(now.Add(-deliveriesKept))}},
		{`DELETE FROM webhook_deliveries d USING webhooks w WHERE d.webhook_id = w.id AND NOT d.verified AND d.id < (
			SELECT id FROM webhook_deliveries WHERE webhook_id = w.id AND NOT verified ORDER BY id DESC OFFSET $1 LIMIT 1)`, []any{refusedKept - 1}},
		{`DELETE FROM webhook_seen WHERE expires_at < $1`, []any{now}},
		{`DELETE FROM webhook_secrets WHERE expires_at < $1`, []any{now}},
	} {
		if _, err := s.worker.Exec(ctx, step.sql, step.args...); err != nil {
			return mapError(err, "remove old deliveries")
		}
	}
	return nil
}

// DeliverySeen gives the job of an earlier request that has one of seen; nil if
// there is none. It fails with CodeConflict where that had another body.
func (s *Store) DeliverySeen(ctx context.Context, workspace, webhook cronium.ID, seen []Seen) (*cronium.ID, error) {
	for _, one := range seen {
		var request []byte
		var first cronium.ID
		err := s.read(ctx, workspace, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, `SELECT request, job_id FROM webhook_seen WHERE webhook_id = $1 AND key = $2 AND expires_at > now()`, webhook, one.Key).
				Scan(&request, &first)
		})
		switch {
		case errors.Is(err, pgx.ErrNoRows):
		case err != nil:
			return nil, mapError(err, "look for an earlier delivery")
		case !bytes.Equal(request, one.Request):
			return nil, errOtherBody
		default:
			return &first, nil
		}
	}
	return nil, nil
}
