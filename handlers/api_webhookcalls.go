package handlers

import (
	"context"
	"net/http"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

type listWebhooksInput struct {
	ListInput
	Event string `query:"event" doc:"Of this event alone"`
	Query string `query:"q" doc:"Part of the webhook's or the event's name, in any case"`
}

type listWebhooksOutput struct {
	ListHead
	Body struct {
		Webhooks []APIWebhook `json:"webhooks"`
		Next     string       `json:"next,omitempty" doc:"Pass it as cursor for the next page; absent on the last"`
	}
}

func (a *api) listWebhooks(ctx context.Context, in *listWebhooksInput) (*listWebhooksOutput, error) {
	filter := store.WebhookFilter{Query: in.Query, Limit: in.Limit}
	if in.Event != "" {
		id, err := apiID(in.Event)
		if err != nil {
			return nil, err
		}
		filter.Event = &id
	}
	var after store.WebhookCursor
	if given, err := decodeCursor(in.Cursor, &after); err != nil {
		return nil, err
	} else if given {
		filter.After = &after
	}
	rows, err := a.Store.Webhooks(ctx, who(ctx).WorkspaceID, filter)
	if err != nil {
		return nil, err
	}
	out := &listWebhooksOutput{}
	out.Body.Webhooks = make([]APIWebhook, 0, len(rows))
	for i := range rows {
		out.Body.Webhooks = append(out.Body.Webhooks, a.apiWebhookOf(ctx, &rows[i]))
	}
	if len(rows) > 0 && len(rows) == in.Limit {
		out.Body.Next = encodeCursor(rows[len(rows)-1].Cursor())
	}
	out.Link = in.nextLink(out.Body.Next)
	return out, nil
}

// WebhookID names a webhook.
type WebhookID struct {
	ID string `path:"id"`
}

type webhookOutput struct {
	Location string `header:"Location"`
	Body     APIWebhook
}

// shownWebhook is a webhook with what is known of its secrets.
func (a *api) shownWebhook(ctx context.Context, id cronium.ID) (APIWebhook, error) {
	row, err := a.Store.Webhook(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return APIWebhook{}, err
	}
	known, err := a.Store.WebhookSecrets(ctx, who(ctx).WorkspaceID, id)
	shown := a.apiWebhookOf(ctx, row)
	for _, s := range known {
		shown.Secrets = append(shown.Secrets, apiWebhookSecret{s.CreatedAt, s.ExpiresAt})
	}
	return shown, err
}

func (a *api) getWebhook(ctx context.Context, in *WebhookID) (*webhookOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	shown, err := a.shownWebhook(ctx, id)
	if err != nil {
		return nil, err
	}
	return &webhookOutput{Body: shown}, nil
}

type createWebhookInput struct {
	Body struct {
		EventID string `json:"event_id"`
		Secret  string `json:"secret,omitempty" doc:"One that the sender chose; without it one is made"`
		WebhookFields
	}
}

type createdWebhook struct {
	Location string `header:"Location"`
	Body     struct {
		APIWebhook
		Secret string `json:"secret" doc:"This once"`
	}
}

func (a *api) createWebhook(ctx context.Context, in *createWebhookInput) (*createdWebhook, error) {
	w := cronium.NewWebhook()
	in.Body.apply(&w)
	event, ok := cronium.ParseID(in.Body.EventID)
	if !ok {
		return nil, cronium.ErrNotFound
	}
	w.EventID = event
	secret, err := a.makeWebhook(ctx, &w, in.Body.Secret)
	if err != nil {
		return nil, err
	}
	shown, err := a.shownWebhook(ctx, w.ID)
	if err != nil {
		return nil, err
	}
	out := &createdWebhook{Location: apiPrefix + "/webhooks/" + w.ID.String()}
	out.Body.APIWebhook, out.Body.Secret = shown, secret
	return out, nil
}

type updateWebhookInput struct {
	WebhookID
	Body WebhookFields
}

func (a *api) updateWebhook(ctx context.Context, in *updateWebhookInput) (*webhookOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := a.changeWebhook(ctx, id, in.Body.apply); err != nil {
		return nil, err
	}
	return a.getWebhook(ctx, &in.WebhookID)
}

func (a *api) deleteWebhookOperation(ctx context.Context, in *WebhookID) (*struct{}, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.removeWebhook(ctx, id)
}

type rollWebhookInput struct {
	WebhookID
	Body struct {
		Secret      string `json:"secret,omitempty" doc:"One that the sender chose; without it one is made"`
		KeepSeconds int    `json:"keep_seconds,omitempty" doc:"So long the one of before counts as well, up to 30 days"`
	}
}

type rolledWebhook struct {
	Body struct {
		Secret string `json:"secret" doc:"This once"`
	}
}

func (a *api) rollWebhook(ctx context.Context, in *rollWebhookInput) (*rolledWebhook, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	out := &rolledWebhook{}
	out.Body.Secret, err = a.rollSecret(ctx, id, in.Body.Secret, time.Duration(in.Body.KeepSeconds)*time.Second)
	if err != nil {
		return nil, err
	}
	return out, nil
}

type listDeliveriesInput struct {
	ListInput
	WebhookID
	Verdict string `query:"verdict" enum:"ACCEPTED,DUPLICATE,ANSWERED,REFUSED"`
}

type apiDelivery struct {
	ID          cronium.ID               `json:"id"`
	WebhookID   cronium.ID               `json:"webhook_id"`
	At          time.Time                `json:"at"`
	Verdict     cronium.Verdict          `json:"verdict" enum:"ACCEPTED,DUPLICATE,ANSWERED,REFUSED"`
	Verified    bool                     `json:"verified" doc:"It showed that its sender knows the secret"`
	Reason      string                   `json:"reason,omitempty" doc:"Why it was refused"`
	Status      int                      `json:"status" doc:"Of the answer"`
	Address     string                   `json:"address"`
	ContentType string                   `json:"content_type,omitempty"`
	Size        int                      `json:"size" doc:"Of the body, in bytes"`
	JobID       *cronium.ID              `json:"job_id,omitempty"`
	ReplayOf    *cronium.ID              `json:"replay_of,omitempty"`
	By          string                   `json:"by,omitempty" doc:"Who sent it from the page or by the API"`
	Headers     []cronium.DeliveryHeader `json:"headers,omitempty"`
	Body        string                   `json:"body,omitempty" doc:"Its first 64 KiB"`
}

func apiDeliveryOf(d *cronium.Delivery) apiDelivery {
	return apiDelivery{ID: d.ID, WebhookID: d.WebhookID, At: d.At, Verdict: d.Verdict, Verified: d.Verified, Reason: d.Reason, Status: d.Status,
		Address: d.Address, ContentType: d.ContentType, Size: d.Size, JobID: d.JobID, ReplayOf: d.ReplayOf, By: d.By}
}

type listDeliveriesOutput struct {
	ListHead
	Body struct {
		Deliveries []apiDelivery `json:"deliveries"`
		Next       string        `json:"next,omitempty" doc:"Pass it as cursor for the next page; absent on the last"`
	}
}

func (a *api) listDeliveries(ctx context.Context, in *listDeliveriesInput) (*listDeliveriesOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	workspace := who(ctx).WorkspaceID
	if _, err := a.Store.Webhook(ctx, workspace, id); err != nil {
		return nil, err
	}
	filter := store.DeliveryFilter{Verdict: cronium.Verdict(in.Verdict), Limit: in.Limit}
	var after cronium.ID
	if given, err := decodeCursor(in.Cursor, &after); err != nil {
		return nil, err
	} else if given {
		filter.After = &after
	}
	rows, err := a.Store.Deliveries(ctx, workspace, id, filter)
	if err != nil {
		return nil, err
	}
	out := &listDeliveriesOutput{}
	out.Body.Deliveries = make([]apiDelivery, 0, len(rows))
	for i := range rows {
		shown := apiDeliveryOf(&rows[i])
		shown.Headers = rows[i].Headers
		out.Body.Deliveries = append(out.Body.Deliveries, shown)
	}
	if len(rows) > 0 && len(rows) == in.Limit {
		out.Body.Next = encodeCursor(rows[len(rows)-1].ID)
	}
	out.Link = in.nextLink(out.Body.Next)
	return out, nil
}

type deliveryInput struct {
	ID string `path:"id"`
}

type deliveryOutput struct {
	Body apiDelivery
}

func (a *api) getDelivery(ctx context.Context, in *deliveryInput) (*deliveryOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	d, err := a.Store.Delivery(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	out := &deliveryOutput{Body: apiDeliveryOf(d)}
	out.Body.Headers, out.Body.Body = d.Headers, string(d.Body)
	return out, nil
}

type sentOutput struct {
	Location string `header:"Location"`
	Body     struct {
		Delivery cronium.ID  `json:"delivery"`
		Job      *cronium.ID `json:"job,omitempty" doc:"Absent for a trial of the sender, which is answered without a job"`
	}
}

func sentOf(d *cronium.Delivery) *sentOutput {
	out := &sentOutput{}
	out.Body.Delivery, out.Body.Job = d.ID, d.JobID
	if d.JobID != nil {
		out.Location = apiPrefix + "/jobs/" + d.JobID.String()
	}
	return out
}

func (a *api) replayDelivery(ctx context.Context, in *deliveryInput) (*sentOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	d, err := a.replay(ctx, id)
	if err != nil {
		return nil, err
	}
	return sentOf(d), nil
}

type testWebhookInput struct {
	WebhookID
	Body struct {
		ContentType string `json:"content_type,omitempty" default:"application/json"`
		Body        string `json:"body,omitempty" doc:"As the sender would send it; at most 1 MiB"`
	}
}

func (a *api) testWebhook(ctx context.Context, in *testWebhookInput) (*sentOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	d, err := a.sendTest(ctx, id, http.Header{"Content-Type": {in.Body.ContentType}}, in.Body.Body)
	if err != nil {
		return nil, err
	}
	return sentOf(d), nil
}
