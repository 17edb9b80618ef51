package jobs

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/store"
)

// Deliver accepts the job of a verified request to a webhook together with the
// record of the request: when it returns without error, both are stored, or the
// request came before and first is the job of then. It fills in the delivery's
// verdict and job. Errors are those of Enqueue, and CodeConflict for a request of
// the same name with another body; nothing is stored then.
func (e *Engine) Deliver(ctx context.Context, d *cronium.Delivery, r Request, seen []store.Seen) (job *cronium.Job, first *cronium.ID, err error) {
	job, target, err := e.prepareJob(ctx, &r)
	if err != nil {
		// Who got no answer repeats the request, and it was accepted, whatever has
		// become of the event since.
		if first, seenErr := e.Store.DeliverySeen(ctx, d.WorkspaceID, d.WebhookID, seen); seenErr == nil && first != nil {
			d.Verdict, d.JobID = cronium.DeliveryDuplicate, first
			return nil, first, nil
		}
		return nil, nil, err
	}
	d.Verdict, d.JobID = cronium.DeliveryAccepted, &job.ID
	first, err = e.Store.AcceptDelivery(ctx, d, seen, job, func(ctx context.Context, tx pgx.Tx) error {
		return e.insert(ctx, tx, *job, target, time.Time{})
	})
	if err != nil {
		d.Verdict, d.JobID = cronium.DeliveryRefused, nil
		return nil, nil, err
	}
	if first != nil {
		d.Verdict, d.JobID = cronium.DeliveryDuplicate, first
		return nil, first, nil
	}
	e.Hub.Publish(live.JobsTopic(job.WorkspaceID), live.WebhooksTopic(job.WorkspaceID))
	return job, nil, nil
}
