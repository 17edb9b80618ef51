package handlers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/secrets"
	"cronium.dev/store"
)

func (a *api) webhookOperations() {
	const secret = " The secret is sealed, and no later answer has it."
	add(a, operation{method: http.MethodGet, path: "/webhooks", permission: cronium.PermissionRead, id: "list-webhooks", tag: "Webhooks",
		summary: "List webhooks by name"}, a.listWebhooks)
	add(a, operation{method: http.MethodPost, path: "/webhooks", permission: cronium.PermissionWrite, id: "create-webhook", tag: "Webhooks", status: http.StatusCreated,
		summary: "Give an event an address that fires it", description: "The answer has the secret this once." + secret}, a.createWebhook)
	add(a, operation{method: http.MethodGet, path: "/webhooks/{id}", permission: cronium.PermissionRead, id: "get-webhook", tag: "Webhooks",
		summary: "One webhook and its address"}, a.getWebhook)
	add(a, operation{method: http.MethodPatch, path: "/webhooks/{id}", permission: cronium.PermissionWrite, id: "update-webhook", tag: "Webhooks",
		summary: "Change a webhook, or switch it on or off", description: "What is not sent stays as it is."}, a.updateWebhook)
	add(a, operation{method: http.MethodDelete, path: "/webhooks/{id}", permission: cronium.PermissionWrite, id: "delete-webhook", tag: "Webhooks", status: http.StatusNoContent,
		summary: "Delete a webhook with what came to it", description: "Its jobs stay."}, a.deleteWebhookOperation)
	add(a, operation{method: http.MethodPost, path: "/webhooks/{id}/secret", permission: cronium.PermissionWrite, id: "roll-webhook-secret", tag: "Webhooks",
		summary: "Replace the secret", description: "The one of before counts as well for keep_seconds, so that nothing is lost while the sender changes." + secret}, a.rollWebhook)
	add(a, operation{method: http.MethodPost, path: "/webhooks/{id}/test", permission: cronium.PermissionRun, id: "test-webhook", tag: "Webhooks", status: http.StatusAccepted,
		summary: "Send a body to a webhook as if its sender had"}, a.testWebhook)
	add(a, operation{method: http.MethodGet, path: "/webhooks/{id}/deliveries", permission: cronium.PermissionRead, id: "list-deliveries", tag: "Webhooks",
		summary: "List what came to a webhook, the newest first", description: "Of two weeks. Of requests that nobody verified, the last ones, without their content."}, a.listDeliveries)
	add(a, operation{method: http.MethodGet, path: "/deliveries/{id}", permission: cronium.PermissionRead, id: "get-delivery", tag: "Webhooks",
		summary: "One request with its headers and body", description: "The body is its first 64 KiB. Headers that hold secrets have … as their value."}, a.getDelivery)
	add(a, operation{method: http.MethodPost, path: "/deliveries/{id}/replay", permission: cronium.PermissionRun, id: "replay-delivery", tag: "Webhooks", status: http.StatusAccepted,
		summary: "Make a job of a request once more"}, a.replayDelivery)
}

// APIWebhook is a webhook as the API shows it.
type APIWebhook struct {
	ID        cronium.ID         `json:"id"`
	EventID   cronium.ID         `json:"event_id"`
	EventName string             `json:"event_name,omitempty"`
	URL       string             `json:"url" doc:"Nobody can guess it; the secret is not in it"`
	Secrets   []apiWebhookSecret `json:"secrets,omitempty" doc:"Those that count, the newest first"`
	LastAt    *time.Time         `json:"last_at,omitempty" doc:"Of the newest request that is kept"`
	Last      cronium.Verdict    `json:"last_verdict,omitempty"`
	ChangedBy string             `json:"changed_by"`
	CreatedAt time.Time          `json:"created_at"`
	UpdatedAt time.Time          `json:"updated_at"`
	WebhookSettings
}

// WebhookSettings are what can be set of a webhook.
type WebhookSettings struct {
	Name            string               `json:"name" maxLength:"120"`
	Style           cronium.WebhookStyle `json:"style" enum:"hmac,github,stripe,slack,key" doc:"How a sender shows that it knows the secret"`
	Header          string               `json:"header" doc:"With hmac the header of the signature, with key that of the secret; else empty"`
	TimestampHeader string               `json:"timestamp_header" doc:"With hmac: the header of the signed time, in seconds since 1970; empty where the body alone is signed"`
	WindowSeconds   int                  `json:"window_seconds" doc:"How old or far ahead a signed time may be, 10 to 3,600"`
	OnceHeader      string               `json:"once_header" doc:"The header that makes a repeated request the same one; empty for none"`
	Headers         []string             `json:"headers" doc:"Given to the job: its input is then {\"body\": …, \"headers\": {…}}"`
	Allow           []string             `json:"allow" doc:"Addresses and ranges that may send; none for all"`
	WaitSeconds     int                  `json:"wait_seconds" doc:"0: answer at once with the job's id; else wait up to that long, at most 60, and answer with its output"`
	RatePerMinute   int                  `json:"rate_per_minute" doc:"Verified requests, 1 to 60,000, counted by each server process"`
	Enabled         bool                 `json:"enabled"`
}

type apiWebhookSecret struct {
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"Of one that was replaced"`
}

// WebhookFields are what a request may set of a webhook; nil is not sent.
type WebhookFields struct {
	Name            *string   `json:"name,omitempty"`
	Style           *string   `json:"style,omitempty" enum:"hmac,github,stripe,slack,key"`
	Header          *string   `json:"header,omitempty"`
	TimestampHeader *string   `json:"timestamp_header,omitempty"`
	WindowSeconds   *int      `json:"window_seconds,omitempty"`
	OnceHeader      *string   `json:"once_header,omitempty"`
	Headers         *[]string `json:"headers,omitempty"`
	Allow           *[]string `json:"allow,omitempty"`
	WaitSeconds     *int      `json:"wait_seconds,omitempty"`
	RatePerMinute   *int      `json:"rate_per_minute,omitempty"`
	Enabled         *bool     `json:"enabled,omitempty"`
}

// apply sets what was sent. A style brings its headers unless they are sent too.
func (f *WebhookFields) apply(w *cronium.Webhook) {
	if f.Style != nil && cronium.WebhookStyle(*f.Style) != w.Style {
		setStyle(w, cronium.WebhookStyle(*f.Style))
	}
	set(&w.Name, f.Name)
	set(&w.Header, f.Header)
	set(&w.TimestampHeader, f.TimestampHeader)
	set(&w.WindowSeconds, f.WindowSeconds)
	set(&w.OnceHeader, f.OnceHeader)
	set(&w.Headers, f.Headers)
	set(&w.Allow, f.Allow)
	set(&w.WaitSeconds, f.WaitSeconds)
	set(&w.RatePerMinute, f.RatePerMinute)
	set(&w.Enabled, f.Enabled)
}

// setStyle changes the style with the headers that belong to it.
func setStyle(w *cronium.Webhook, style cronium.WebhookStyle) {
	w.Style, w.Header, w.TimestampHeader = style, "", ""
	switch style {
	case cronium.WebhookHMAC:
		w.Header, w.TimestampHeader = cronium.WebhookSignatureHeader, cronium.WebhookTimestampHeader
	case cronium.WebhookKey:
		w.Header = cronium.WebhookKeyHeader
	}
}

func (h *Handlers) apiWebhookOf(ctx context.Context, r *store.WebhookRow) APIWebhook {
	w := &r.Webhook
	return APIWebhook{
		ID: w.ID, EventID: w.EventID, EventName: r.EventName, URL: hookURL(ctx, w), LastAt: r.LastAt, Last: r.LastVerdict, ChangedBy: w.ChangedBy, CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
		WebhookSettings: webhookSettings(w),
	}
}

// hookURL is a webhook's whole address, at the origin that the request came to.
func hookURL(ctx context.Context, w *cronium.Webhook) string {
	info, _ := ctx.Value(requestKey{}).(*request)
	if info == nil {
		info = &request{}
	}
	return info.origin + hookPath + w.Hook
}

// newSecret makes a secret, or takes the one that a sender or a person chose, and
// seals it.
func (h *Handlers) newSecret(ctx context.Context, workspace cronium.ID, chosen string) (string, *cronium.WebhookSecret, error) {
	if chosen == "" {
		random := make([]byte, 32)
		rand.Read(random)
		chosen = "whs_" + base64.RawURLEncoding.EncodeToString(random)
	}
	if err := cronium.ValidateWebhookSecret(chosen).Err("The secret"); err != nil {
		return "", nil, err
	}
	secret := &cronium.WebhookSecret{ID: cronium.NewID()}
	var err error
	secret.DataKey, secret.Sealed, err = h.Box.Seal(ctx, workspace, secrets.PurposeWebhook, secret.ID, []byte(chosen))
	return chosen, secret, err
}

// makeWebhook stores a webhook and gives its secret, which nobody sees again.
func (h *Handlers) makeWebhook(ctx context.Context, w *cronium.Webhook, chosen string) (string, error) {
	p := who(ctx)
	w.ID, w.WorkspaceID, w.Hook, w.ChangedBy = cronium.NewID(), p.WorkspaceID, strings.ToLower(rand.Text()), p.DisplayName()
	problems := w.Validate()
	if chosen != "" {
		problems = append(problems, cronium.ValidateWebhookSecret(chosen)...)
	}
	if err := problems.Err("The webhook"); err != nil {
		return "", err
	}
	plain, secret, err := h.newSecret(ctx, p.WorkspaceID, chosen)
	if err != nil {
		return "", err
	}
	if err := h.Store.CreateWebhook(ctx, w, secret); err != nil {
		return "", err
	}
	h.webhooksMoved(ctx, "made", w)
	return plain, nil
}

// changeWebhook changes a webhook to what change makes of it.
func (h *Handlers) changeWebhook(ctx context.Context, id cronium.ID, change func(*cronium.Webhook)) (*cronium.Webhook, error) {
	p := who(ctx)
	w, err := h.Store.ChangeWebhook(ctx, p.WorkspaceID, id, func(w *cronium.Webhook) error {
		change(w)
		w.ChangedBy = p.DisplayName()
		return w.Validate().Err("The webhook")
	})
	if err == nil {
		h.webhooksMoved(ctx, "changed", w)
	}
	return w, err
}

// rollSecret replaces a webhook's secret; the one of before counts for keep.
func (h *Handlers) rollSecret(ctx context.Context, id cronium.ID, chosen string, keep time.Duration) (string, error) {
	p := who(ctx)
	w, err := h.Store.Webhook(ctx, p.WorkspaceID, id)
	if err != nil {
		return "", err
	}
	var problems cronium.Problems
	problems.Add(keep >= 0 && keep <= 30*24*time.Hour, "keep_seconds", "must be between 0 and 30 days")
	if err := problems.Err("The secret"); err != nil {
		return "", err
	}
	plain, secret, err := h.newSecret(ctx, p.WorkspaceID, chosen)
	if err != nil {
		return "", err
	}
	if err := h.Store.RollWebhookSecret(ctx, p.WorkspaceID, id, secret, keep); err != nil {
		return "", err
	}
	h.webhooksMoved(ctx, "secret replaced", &w.Webhook)
	return plain, nil
}

func (h *Handlers) removeWebhook(ctx context.Context, id cronium.ID) error {
	p := who(ctx)
	w, err := h.Store.Webhook(ctx, p.WorkspaceID, id)
	if err != nil {
		return err
	}
	if err := h.Store.DeleteWebhook(ctx, p.WorkspaceID, id); err != nil {
		return err
	}
	h.webhooksMoved(ctx, "deleted", &w.Webhook)
	return nil
}

// webhooksMoved notes who changed a webhook and tells every page that shows them.
func (h *Handlers) webhooksMoved(ctx context.Context, what string, w *cronium.Webhook) {
	if isDry(ctx) {
		return
	}
	h.Log.InfoContext(ctx, "webhook "+what, "workspace", w.WorkspaceID, "by", who(ctx).UserID, "webhook", w.ID, "name", w.Name, "event", w.EventID)
	h.Hub.Publish(live.WebhooksTopic(w.WorkspaceID))
}
