package handlers

import (
	"net/http"
	"net/url"
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

// webhookForm reads a webhook's form. change sets what it says; problems are the
// fields that cannot be read at all.
func webhookForm(v url.Values) (form views.WebhookForm, change func(*cronium.Webhook), problems cronium.Problems) {
	trimmed := func(name string) string { return strings.TrimSpace(v.Get(name)) }
	form = views.WebhookForm{
		Event: v.Get("event"), Name: trimmed("name"), Style: v.Get("style"), Header: trimmed("header"), KeyHeader: trimmed("key_header"),
		TimestampHeader: trimmed("timestamp_header"), Window: v.Get("window_seconds"), OnceHeader: trimmed("once_header"),
		Headers: lines(v.Get("headers")), Allow: lines(v.Get("allow")), Wait: v.Get("wait_seconds"), Rate: v.Get("rate_per_minute"), Secret: v.Get("secret"),
	}
	read := formReader{problems: &problems}
	wait, rate, window := read.whole("wait_seconds", form.Wait), read.whole("rate_per_minute", form.Rate), int(read.span("window_seconds", form.Window))
	return form, func(w *cronium.Webhook) {
		setStyle(w, cronium.WebhookStyle(form.Style))
		switch w.Style {
		case cronium.WebhookHMAC:
			w.Header, w.TimestampHeader = form.Header, form.TimestampHeader
		case cronium.WebhookKey:
			w.Header = form.KeyHeader
		}
		w.Name, w.OnceHeader, w.Headers, w.Allow = form.Name, form.OnceHeader, entries(form.Headers), entries(form.Allow)
		w.WaitSeconds, w.RatePerMinute, w.WindowSeconds = wait, rate, window
	}, problems
}

// entries reads a list, one a line or with commas between.
func entries(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' || r == ' ' || r == '\t' || r == '\r' })
}

// atFields names problems by the fields that the form has: one for a whole list,
// another for the header of a key.
func atFields(problems cronium.Problems, style string) cronium.Problems {
	var named cronium.Problems
	for _, p := range problems {
		p.Field, _, _ = strings.Cut(p.Field, "[")
		if p.Field == "header" && style == string(cronium.WebhookKey) {
			p.Field = "key_header"
		}
		named = append(named, p)
	}
	return named
}

func (h *Handlers) newWebhookPage(w http.ResponseWriter, r *http.Request) error {
	fresh := cronium.NewWebhook()
	form := views.WebhookFormOf(&fresh)
	form.Event = r.URL.Query().Get("event")
	return h.renderWebhookForm(w, r, http.StatusOK, views.WebhookEdit{Form: form})
}

// renderWebhookForm fills in what the page shows beside what was typed.
func (h *Handlers) renderWebhookForm(w http.ResponseWriter, r *http.Request, status int, page views.WebhookEdit) error {
	var err error
	title, path := "New webhook", []layout.Crumb{webhooksCrumb()}
	if page.ID == nil {
		events, err := h.Store.Events(r.Context(), principal(r).WorkspaceID, store.EventFilter{Limit: 200})
		if err != nil {
			return err
		}
		for _, e := range events {
			page.Events = append(page.Events, views.EventChoice{ID: e.ID, Name: e.Name})
		}
		if page.Events, err = h.withChosen(r, page.Events, page.Form.Event); err != nil {
			return err
		}
	} else {
		title = "Change"
		path = append(path, layout.Crumb{Label: page.Form.Name, URL: "/webhooks/" + page.ID.String()})
	}
	if page.Frame, err = h.webhookFrame(r, title, path...); err != nil {
		return err
	}
	return h.render(w, r, status, page.Page())
}

// withChosen adds the event that was chosen, where the list is too long to have it.
func (h *Handlers) withChosen(r *http.Request, events []views.EventChoice, chosen string) ([]views.EventChoice, error) {
	id, ok := cronium.ParseID(chosen)
	if !ok {
		return events, nil
	}
	for _, e := range events {
		if e.ID == id {
			return events, nil
		}
	}
	e, err := h.Store.Event(r.Context(), principal(r).WorkspaceID, id)
	if cronium.CodeOf(err) == cronium.CodeNotFound {
		return events, nil
	}
	if err != nil {
		return nil, err
	}
	return append(events, views.EventChoice{ID: e.ID, Name: e.Name}), nil
}

// makeWebhookByForm answers with the page that shows the secret, not with a
// redirect: no address may hold it.
func (h *Handlers) makeWebhookByForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	form, change, unread := webhookForm(r.PostForm)
	hook := cronium.NewWebhook()
	change(&hook)
	event, ok := cronium.ParseID(form.Event)
	unread.Add(ok, "event", "must be one of the workspace's events")
	hook.EventID = event
	err := merged(unread, hook.Validate()).Err("The webhook")
	var secret string
	if err == nil {
		secret, err = h.makeWebhook(r.Context(), &hook, form.Secret)
	}
	if err != nil {
		problems, message, status, ok := fieldProblems(w, err)
		if !ok {
			return err
		}
		form.Secret = ""
		page := views.WebhookEdit{Form: form, Problems: atFields(problems, form.Style), Message: message}
		return h.renderWebhookForm(w, r, status, page)
	}
	return h.renderWebhookAt(w, r, hook.ID, http.StatusCreated, views.WebhookPage{Secret: secret})
}

func (h *Handlers) editWebhookPage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	row, err := h.Store.Webhook(r.Context(), principal(r).WorkspaceID, id)
	if err != nil {
		return err
	}
	return h.renderWebhookForm(w, r, http.StatusOK, views.WebhookEdit{ID: &id, Form: views.WebhookFormOf(&row.Webhook)})
}

func (h *Handlers) saveWebhook(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	if _, err := h.Store.Webhook(r.Context(), principal(r).WorkspaceID, id); err != nil {
		return err
	}
	form, change, unread := webhookForm(r.PostForm)
	trial := cronium.NewWebhook()
	change(&trial)
	if err = merged(unread, trial.Validate()).Err("The webhook"); err == nil {
		_, err = h.changeWebhook(r.Context(), id, change)
	}
	if err == nil {
		return redirect(w, r, "/webhooks/"+id.String()+"?done=webhook")
	}
	problems, message, status, ok := fieldProblems(w, err)
	if !ok {
		return err
	}
	page := views.WebhookEdit{ID: &id, Form: form, Problems: atFields(problems, form.Style), Message: message}
	return h.renderWebhookForm(w, r, status, page)
}
