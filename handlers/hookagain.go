package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"cronium.dev/cronium"
	"cronium.dev/webhook"
)

// byHand is a call that a person makes in place of the sender.
func (h *Handlers) byHand(ctx context.Context, id cronium.ID) (*hookCall, error) {
	p := who(ctx)
	row, err := h.Store.Webhook(ctx, p.WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	delivery := cronium.NewID()
	return &hookCall{Handlers: h, webhook: &row.Webhook, delivery: &cronium.Delivery{
		ID: delivery, WorkspaceID: p.WorkspaceID, WebhookID: id, Verified: true, Address: requestAddress(ctx), By: p.DisplayName(), At: cronium.IDTime(delivery)}}, nil
}

func requestAddress(ctx context.Context) string {
	if info, ok := ctx.Value(requestKey{}).(*request); ok {
		return info.address.String()
	}
	return ""
}

// sendTest makes a job of what a person typed as a webhook would of the same from
// its sender.
func (h *Handlers) sendTest(ctx context.Context, id cronium.ID, header http.Header, body string) (*cronium.Delivery, error) {
	c, err := h.byHand(ctx, id)
	if err != nil {
		return nil, err
	}
	var problems cronium.Problems
	problems.Add(len(body) <= cronium.MaxWebhookBytes, "body", "must be at most 1 MiB")
	if err := problems.Err("The test"); err != nil {
		return nil, err
	}
	d := c.delivery
	d.Headers, d.Body, d.Size, d.ContentType = webhook.Headers(c.webhook, header), webhook.Kept([]byte(body)), len(body), header.Get("Content-Type")
	return c.again(ctx, header, []byte(body))
}

// again makes a job of a request that needs no signature.
func (c *hookCall) again(ctx context.Context, header http.Header, body []byte) (*cronium.Delivery, error) {
	payload, err := webhook.Read(c.webhook, header, body)
	if err != nil {
		return nil, inForm(err)
	}
	if payload.Trial {
		c.delivery.Verdict = cronium.DeliveryAnswered
		c.record(ctx, http.StatusOK, "")
		return c.delivery, nil
	}
	_, err = c.deliver(ctx, payload.Input, nil)
	return c.delivery, inForm(err)
}

// inForm says of what a person typed what a sender is told by a status.
func inForm(err error) error {
	if errors.Is(err, webhook.ErrType) {
		var problems cronium.Problems
		problems.Add(false, "content_type", "must be application/json, application/x-www-form-urlencoded or text/plain")
		return problems.Err("The test")
	}
	return err
}

// replay makes a job of a verified delivery once more.
func (h *Handlers) replay(ctx context.Context, id cronium.ID) (*cronium.Delivery, error) {
	workspace := who(ctx).WorkspaceID
	old, err := h.Store.Delivery(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	c, err := h.byHand(ctx, old.WebhookID)
	if err != nil {
		return nil, err
	}
	if !old.Verified {
		return nil, cronium.Errorf(cronium.CodeConflict, "Nobody showed that this request came from the sender, so nothing of it was kept and it cannot be sent again.")
	}
	d := c.delivery
	d.Headers, d.Body, d.Size, d.ContentType, d.ReplayOf = old.Headers, old.Body, old.Size, old.ContentType, &old.ID
	if old.Size == len(old.Body) {
		header := http.Header{}
		for _, field := range old.Headers {
			header.Add(field.Name, field.Value)
		}
		if old.ContentType != "" {
			header.Set("Content-Type", old.ContentType)
		}
		return c.again(ctx, header, old.Body)
	}
	// Longer than what is kept of a body: its job has all of it.
	if old.JobID == nil {
		return nil, cronium.Errorf(cronium.CodeConflict, "The body is longer than what is kept of one, and there is no job with it. Have the sender send it again.")
	}
	job, err := h.Store.Job(ctx, workspace, *old.JobID)
	if err != nil {
		return nil, err
	}
	_, err = c.deliver(ctx, json.RawMessage(job.Input), nil)
	return d, err
}
