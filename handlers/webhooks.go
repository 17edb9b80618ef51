package handlers

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

func (h *Handlers) webhookRoutes() []Route {
	page := func(method, pattern string, permission cronium.Permission, handle Handler) Route {
		return Route{Method: method, Pattern: pattern, Permission: permission, Kind: KindPage, Handle: handle}
	}
	return []Route{
		page(http.MethodGet, "/webhooks", cronium.PermissionRead, h.webhooksPage),
		page(http.MethodGet, "/webhooks/new", cronium.PermissionWrite, h.newWebhookPage),
		page(http.MethodPost, "/webhooks", cronium.PermissionWrite, h.makeWebhookByForm),
		page(http.MethodGet, "/webhooks/{id}", cronium.PermissionRead, h.webhookPage),
		page(http.MethodGet, "/webhooks/{id}/edit", cronium.PermissionWrite, h.editWebhookPage),
		page(http.MethodPost, "/webhooks/{id}", cronium.PermissionWrite, h.saveWebhook),
		page(http.MethodPost, "/webhooks/{id}/enabled", cronium.PermissionWrite, h.switchWebhook),
		page(http.MethodPost, "/webhooks/{id}/secret", cronium.PermissionWrite, h.rollByForm),
		{Method: http.MethodPost, Pattern: "/webhooks/{id}/test", Permission: cronium.PermissionRun, Kind: KindPage, Handle: h.testByForm, MaxBody: 4 << 20},
		page(http.MethodPost, "/webhooks/{id}/delete", cronium.PermissionWrite, h.deleteWebhookByForm),
		page(http.MethodGet, "/deliveries/{id}", cronium.PermissionRead, h.deliveryPage),
		page(http.MethodPost, "/deliveries/{id}/replay", cronium.PermissionRun, h.replayByForm),
	}
}

func webhooksCrumb() layout.Crumb { return layout.Crumb{Label: "Webhooks", URL: "/webhooks"} }

func (h *Handlers) webhookFrame(r *http.Request, title string, path ...layout.Crumb) (layout.Frame, error) {
	f, err := h.counted(r, title, layout.NavWebhooks, path...)
	f.Modules = []string{"js/copy.js"}
	switch r.URL.Query().Get("done") {
	case "webhook":
		f.Said = "The webhook is saved."
	case "on":
		f.Said = "The webhook is on."
	case "off":
		f.Said = "The webhook is off: requests are refused."
	case "sent":
		f.Said = "It was sent."
	case "deleted":
		f.Said = "The webhook is deleted."
	}
	return f, err
}

func webhookRowOf(r *store.WebhookRow) views.WebhookRow {
	return views.WebhookRow{Webhook: r.Webhook, EventName: r.EventName, EventStatus: r.EventStatus, LastAt: r.LastAt, LastVerdict: r.LastVerdict}
}

func (h *Handlers) webhooksPage(w http.ResponseWriter, r *http.Request) error {
	page := views.Webhooks{Query: strings.TrimSpace(r.URL.Query().Get("q")), After: r.URL.Query().Get("after")}
	var err error
	if page.Frame, err = h.webhookFrame(r, "Webhooks"); err != nil {
		return err
	}
	page.Live = "/live?topics=webhooks"
	filter := store.WebhookFilter{Query: page.Query, Limit: pageRows + 1}
	var after store.WebhookCursor
	if given, err := decodeCursor(page.After, &after); given && err == nil {
		filter.After = &after
	} else {
		page.After = ""
	}
	rows, err := h.Store.Webhooks(r.Context(), principal(r).WorkspaceID, filter)
	if err != nil {
		return err
	}
	if len(rows) > pageRows {
		rows = rows[:pageRows]
		page.Next = encodeCursor(rows[pageRows-1].Cursor())
	}
	for i := range rows {
		page.Rows = append(page.Rows, webhookRowOf(&rows[i]))
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

func (h *Handlers) webhookPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderWebhook(w, r, http.StatusOK, views.WebhookPage{})
}

// renderWebhook fills in what the page shows beside what came with a form.
func (h *Handlers) renderWebhook(w http.ResponseWriter, r *http.Request, status int, page views.WebhookPage) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	return h.renderWebhookAt(w, r, id, status, page)
}

func (h *Handlers) renderWebhookAt(w http.ResponseWriter, r *http.Request, id cronium.ID, status int, page views.WebhookPage) error {
	ctx, workspace, query := r.Context(), principal(r).WorkspaceID, r.URL.Query()
	row, err := h.Store.Webhook(ctx, workspace, id)
	if err != nil {
		return err
	}
	page.WebhookRow, page.URL, page.Now = webhookRowOf(row), hookURL(ctx, &row.Webhook), time.Now()
	if page.Secrets, err = h.Store.WebhookSecrets(ctx, workspace, id); err != nil {
		return err
	}
	filter := store.DeliveryFilter{Limit: pageRows + 1}
	if v := cronium.Verdict(query.Get("verdict")); slices.Contains(cronium.Verdicts, v) {
		page.Verdict, filter.Verdict = v, v
	}
	var before cronium.ID
	if given, err := decodeCursor(query.Get("before"), &before); given && err == nil {
		filter.After = &before
	}
	if page.Deliveries, err = h.Store.Deliveries(ctx, workspace, id, filter); err != nil {
		return err
	}
	if len(page.Deliveries) > pageRows {
		page.Deliveries = page.Deliveries[:pageRows]
		page.Older = encodeCursor(page.Deliveries[pageRows-1].ID)
	}
	if page.Test == (views.WebhookTest{}) {
		page.Test = views.WebhookTest{ContentType: "application/json", Body: "{\"hello\": \"world\"}"}
	}
	if page.Roll.Keep == "" {
		page.Roll.Keep = "24 h"
	}
	if page.Frame, err = h.webhookFrame(r, row.Name, webhooksCrumb()); err != nil {
		return err
	}
	page.Live = "/live?topics=webhooks"
	return h.render(w, r, status, page.Page())
}

// afterWebhook goes to a page, or shows on the webhook's why not.
func (h *Handlers) afterWebhook(w http.ResponseWriter, r *http.Request, to string, err error, page views.WebhookPage) error {
	if err == nil {
		return redirect(w, r, to)
	}
	problems, message, status, ok := fieldProblems(w, err)
	if !ok {
		return err
	}
	page.Problems, page.Message = problems, message
	return h.renderWebhook(w, r, status, page)
}

func (h *Handlers) switchWebhook(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	on := r.PostForm.Get("enabled") == "true"
	_, err = h.changeWebhook(r.Context(), id, func(w *cronium.Webhook) { w.Enabled = on })
	done := "off"
	if on {
		done = "on"
	}
	return h.afterWebhook(w, r, "/webhooks/"+id.String()+"?done="+done, err, views.WebhookPage{})
}

// rollByForm answers with the page that shows the new secret, not with a
// redirect: no address may hold it.
func (h *Handlers) rollByForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	page := views.WebhookPage{Roll: views.WebhookRoll{Keep: r.PostForm.Get("keep_seconds")}}
	var problems cronium.Problems
	keep := formReader{problems: &problems}.span("keep_seconds", page.Roll.Keep)
	if err = problems.Err("The secret"); err == nil {
		page.Secret, err = h.rollSecret(r.Context(), id, r.PostForm.Get("secret"), time.Duration(keep*float64(time.Second)))
	}
	if err != nil {
		return h.afterWebhook(w, r, "", err, page)
	}
	return h.renderWebhook(w, r, http.StatusOK, page)
}

func (h *Handlers) testByForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	test := views.WebhookTest{ContentType: r.PostForm.Get("content_type"), Body: lines(r.PostForm.Get("body"))}
	d, err := h.sendTest(r.Context(), id, http.Header{"Content-Type": {test.ContentType}}, test.Body)
	to := ""
	if err == nil {
		to = "/deliveries/" + d.ID.String() + "?done=sent"
	}
	return h.afterWebhook(w, r, to, err, views.WebhookPage{Test: test})
}

func (h *Handlers) deleteWebhookByForm(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	if err := h.removeWebhook(r.Context(), id); err != nil {
		return err
	}
	return redirect(w, r, "/webhooks?done=deleted")
}

func (h *Handlers) deliveryPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderDelivery(w, r, http.StatusOK, "")
}

func (h *Handlers) renderDelivery(w http.ResponseWriter, r *http.Request, status int, message string) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	workspace := principal(r).WorkspaceID
	d, err := h.Store.Delivery(r.Context(), workspace, id)
	if err != nil {
		return err
	}
	hook, err := h.Store.Webhook(r.Context(), workspace, d.WebhookID)
	if err != nil {
		return err
	}
	page := views.DeliveryPage{Delivery: *d, Webhook: hook.Webhook, Message: message}
	page.Frame, err = h.webhookFrame(r, "Request "+cronium.ShortID(id), webhooksCrumb(), layout.Crumb{Label: hook.Name, URL: "/webhooks/" + hook.ID.String()})
	if err != nil {
		return err
	}
	return h.render(w, r, status, page.Page())
}

func (h *Handlers) replayByForm(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	d, err := h.replay(r.Context(), id)
	if err == nil {
		return redirect(w, r, "/deliveries/"+d.ID.String()+"?done=sent")
	}
	problems, message, status, ok := formProblems(w, err)
	if !ok {
		return err
	}
	for _, p := range problems {
		message += " " + p.Field + " " + p.Message + "."
	}
	return h.renderDelivery(w, r, status, message)
}
