package handlers

import (
	"net/http"
	"reflect"
	"slices"

	"cronium.dev/cronium"
	"cronium.dev/inputschema"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

func (h *Handlers) eventRoutes() []Route {
	page := func(pattern, tab string) Route {
		return Route{Method: http.MethodGet, Pattern: pattern, Permission: cronium.PermissionRead, Kind: KindPage,
			Handle: func(w http.ResponseWriter, r *http.Request) error { return h.editorPage(w, r, tab) }}
	}
	return []Route{
		page("/events/{id}", "script"), page("/events/{id}/input", "input"), page("/events/{id}/where", "where"),
		page("/events/{id}/limits", "limits"), page("/events/{id}/settings", "settings"),
		{Method: http.MethodPost, Pattern: "/events/{id}", Permission: cronium.PermissionWrite, Kind: KindPage, Handle: h.saveEvent, MaxBody: formBytes},
		{Method: http.MethodPost, Pattern: "/events/{id}/test", Permission: cronium.PermissionWrite, Kind: KindPage, Handle: h.testRun, MaxBody: formBytes},
		{Method: http.MethodGet, Pattern: "/events/{id}/run", Permission: cronium.PermissionRun, Kind: KindPage, Handle: h.runForm},
		{Method: http.MethodPost, Pattern: "/events/{id}/run", Permission: cronium.PermissionRun, Kind: KindPage, Handle: h.runEvent, MaxBody: 4 << 20},
		{Method: http.MethodPost, Pattern: "/events/{id}/status", Permission: cronium.PermissionWrite, Kind: KindPage, Handle: h.setStatus},
		{Method: http.MethodPost, Pattern: "/events/{id}/duplicate", Permission: cronium.PermissionWrite, Kind: KindPage, Handle: h.duplicateEvent},
		{Method: http.MethodPost, Pattern: "/events/{id}/delete", Permission: cronium.PermissionWrite, Kind: KindPage, Handle: h.deleteEvent},
		{Method: http.MethodGet, Pattern: "/servers/match", Permission: cronium.PermissionRead, Kind: KindPage, Handle: h.matchServers},
		{Method: http.MethodGet, Pattern: "/events/{id}/history", Permission: cronium.PermissionRead, Kind: KindPage, Handle: h.historyPage},
		{Method: http.MethodGet, Pattern: "/events/{id}/runs", Permission: cronium.PermissionRead, Kind: KindPage, Handle: h.eventRunsPage},
		{Method: http.MethodGet, Pattern: "/events/{id}/versions/{n}", Permission: cronium.PermissionRead, Kind: KindPage, Handle: h.versionPage},
		{Method: http.MethodPost, Pattern: "/events/{id}/versions/{n}/restore", Permission: cronium.PermissionWrite, Kind: KindPage, Handle: h.restoreVersion},
	}
}

// eventHead reads what every tab of an event shows, and its current version.
func (h *Handlers) eventHead(r *http.Request, tab string) (views.EventHead, *cronium.EventVersion, error) {
	id, err := pathID(r, "id")
	if err != nil {
		return views.EventHead{}, nil, err
	}
	workspace := principal(r).WorkspaceID
	e, err := h.Store.Event(r.Context(), workspace, id)
	if err != nil {
		return views.EventHead{}, nil, err
	}
	version, err := h.Store.EventVersion(r.Context(), workspace, id, e.Version)
	if err != nil {
		return views.EventHead{}, nil, err
	}
	return views.EventHead{
		Event: *e, AuthorOf: version.AuthorName, SavedAt: version.CreatedAt, Tab: tab, HasFields: len(version.Content.InputSchema) > 0, Container: version.Content.Target == cronium.TargetContainer,
	}, version, nil
}

func (h *Handlers) eventFrame(r *http.Request, e *cronium.Event) (layout.Frame, error) {
	f, err := h.counted(r, e.Name, layout.NavEvents, layout.Crumb{Label: "Events", URL: "/events"})
	f.Modules = []string{"js/dialog.js"}
	return f, err
}

// editor is the page of an event's editor, with its form as it is stored.
func (h *Handlers) editor(r *http.Request, tab string) (views.Event, error) {
	head, version, err := h.eventHead(r, tab)
	if err != nil {
		return views.Event{}, err
	}
	page := views.Event{
		EventHead: head, Content: version.Content, Form: views.FormOf(&head.Event, &version.Content),
		ProcessTarget: h.ProcessTarget, FullNetwork: principal(r).Can(cronium.PermissionAdmin),
	}
	if head.Event.Type == cronium.EventHTTP {
		page.Form.Request = requestFormOf(&version.Content)
	}
	schema, err := inputschema.Compile(version.Content.InputSchema)
	if err != nil {
		return page, err
	}
	page.TestFields, page.TestInput = inputFields(schema, typedValues(r)), r.PostForm.Get("test_input")
	page.DependencyNote = slices.ContainsFunc(version.Content.Files, func(f cronium.File) bool {
		return f.Name == "requirements.txt" || f.Name == "package.json"
	})
	if err := h.usableVariables(r, &page); err != nil {
		return page, err
	}
	if h.Containers != nil {
		page.RuntimeImage = h.Containers.Status(r.Context()).Image
	}
	if err := h.choices(r, &page); err != nil {
		return page, err
	}
	page.Frame, err = h.eventFrame(r, &head.Event)
	page.Modules = []string{"js/tabs.js", "js/choose.js", "js/dialog.js", "js/draft.js", "js/rows.js", "js/help.js", "js/editor.js", "js/log.js"}
	page.Styles = []string{"vendor/ace/css/ace.css", "vendor/ace/css/theme/github_light_default.css", "vendor/ace/css/theme/github_dark.css"}
	return page, err
}

func (h *Handlers) editorPage(w http.ResponseWriter, r *http.Request, tab string) error {
	page, err := h.editor(r, tab)
	if err != nil {
		return err
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

// saveEvent makes what the form holds the event's new version. Where nothing
// but the name or description differs, no version is made.
func (h *Handlers) saveEvent(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	tab := editorTab(r.PostForm.Get("tab"))
	page, err := h.editor(r, tab)
	if err != nil {
		return err
	}
	form, content, unread := eventForm(r.PostForm)
	content.Then = page.Content.Then // has its own page
	done, err := h.saveForm(r, &page, form, content, unread)
	if err != nil {
		problems, message, status, ok := formProblems(w, err)
		if !ok {
			return err
		}
		page.Form, page.Problems, page.Message = form, merged(unread, problems), message
		if err := h.choices(r, &page); err != nil {
			return err
		}
		if len(page.Problems) > 0 {
			page.Message, page.Tab = "", views.TabOf(page.Problems[0].Field)
		}
		return h.renderEditor(w, r, status, page)
	}
	h.eventsMoved(r)
	if !isFragment(r) {
		path := "/events/" + page.Event.ID.String()
		if tab != "script" {
			path += "/" + tab
		}
		return redirect(w, r, withQuery(path, "done", done))
	}
	if page, err = h.editor(r, tab); err != nil {
		return err
	}
	page.Saved = done
	return h.renderEditor(w, r, http.StatusOK, page)
}

// saveForm saves what differs, and says what was done.
func (h *Handlers) saveForm(r *http.Request, page *views.Event, form views.EventForm, content cronium.Content, unread cronium.Problems) (string, error) {
	p := principal(r)
	refused := append(cronium.ValidateEvent(form.Name, form.Description, page.Event.Type), content.Validate()...)
	if err := merged(unread, refused).Err("The event"); err != nil {
		return "", err
	}
	if err := h.checkContent(p, &content); err != nil {
		return "", err
	}
	named := form.Name != page.Event.Name || form.Description != page.Event.Description
	changed := !sameContent(content, page.Content)
	var err error
	switch {
	case changed:
		_, err = h.Store.ReplaceEvent(r.Context(), p.WorkspaceID, page.Event.ID, form.Base, store.Replacement{
			Name: &form.Name, Description: &form.Description, Content: &content, Note: form.Note, Author: author(p)})
		return "saved", err
	case named:
		_, err = h.Store.UpdateEvent(r.Context(), p.WorkspaceID, page.Event.ID, form.Name, form.Description)
		return "named", err
	}
	return "unchanged", nil
}

// sameContent compares what two contents mean: JSON without its spaces, and
// nothing like empty.
func sameContent(a, b cronium.Content) bool {
	normal := func(c cronium.Content) cronium.Content {
		form := views.FormOf(&cronium.Event{}, &c)
		c.Input, c.InputSchema = rawJSON(form.Input), rawJSON(form.InputSchema)
		c.Files, c.Environment = append([]cronium.File{}, c.Files...), append([]cronium.Variable{}, c.Environment...)
		c.Retry.ExitCodes = append([]int{}, c.Retry.ExitCodes...)
		c.Retry.Factor = max(c.Retry.Factor, 1)
		return c
	}
	return reflect.DeepEqual(normal(a), normal(b))
}

// renderEditor answers with the whole page, or with the editor alone where it
// is on the screen already.
func (h *Handlers) renderEditor(w http.ResponseWriter, r *http.Request, status int, page views.Event) error {
	if isFragment(r) {
		return h.render(w, r, status, page.Answer())
	}
	return h.render(w, r, status, page.Page())
}

func editorTab(tab string) string {
	if slices.Contains([]string{"input", "where", "limits", "settings"}, tab) {
		return tab
	}
	return "script"
}

// inputFields is the form of a schema, filled with an input.
func inputFields(schema *inputschema.Schema, values map[string]string) (fields []views.InputField) {
	for _, f := range schema.Fields() {
		field := views.InputField{Name: f.Name, Label: f.Title, Help: f.Description, Kind: string(f.Kind), Required: f.Required}
		for _, o := range f.Options {
			field.Options = append(field.Options, inputschema.OptionText(o))
		}
		if len(f.Default) > 0 {
			field.Value = inputschema.OptionText(f.Default)
		}
		if value, given := values[f.Name]; given {
			field.Value = value
		}
		fields = append(fields, field)
	}
	return fields
}
