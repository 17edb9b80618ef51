package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/store"
	"cronium.dev/template"
	"cronium.dev/views"
)

func (h *Handlers) thenRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Pattern: "/events/{id}/then", Permission: cronium.PermissionRead, Kind: KindPage, Handle: h.thenPage},
		{Method: http.MethodPost, Pattern: "/events/{id}/then", Permission: cronium.PermissionWrite, Kind: KindPage, Handle: h.addThen},
		{Method: http.MethodPost, Pattern: "/events/{id}/then/remove", Permission: cronium.PermissionWrite, Kind: KindPage, Handle: h.removeThen},
	}
}

// stepNames are the names that the input of a following event may use.
func stepNames() []string {
	return []string{"cronium.event.name", "cronium.event.id", "cronium.event.version", "cronium.job.id", "cronium.job.status", "cronium.job.result",
		"cronium.job.error", "cronium.job.triggered_by", "cronium.job.attempts", "cronium.condition", "cronium.output.*", "input.*"}
}

// eventThen is the tab Then of an event, with an empty form.
func (h *Handlers) eventThen(r *http.Request) (views.EventThen, *cronium.EventVersion, error) {
	head, version, err := h.eventHead(r, "then")
	if err != nil {
		return views.EventThen{}, nil, err
	}
	page := views.EventThen{EventHead: head, Form: views.ThenForm{When: string(cronium.WhenFailure)}}
	if page.Frame, err = h.eventFrame(r, &head.Event); err != nil {
		return page, nil, err
	}
	workspace := head.Event.WorkspaceID
	if page.After, err = h.Store.LeadsTo(r.Context(), workspace, head.Event.ID); err != nil {
		return page, nil, err
	}
	for _, a := range version.Content.Then {
		row := views.ThenRow{Action: a}
		if a.Event != nil {
			next, err := h.Store.Event(r.Context(), workspace, a.Event.ID)
			if err != nil && !errors.Is(err, cronium.ErrNotFound) {
				return page, nil, err
			}
			if err == nil {
				row.Name = next.Name
			}
		}
		page.Actions = append(page.Actions, row)
	}
	if page.Can(cronium.PermissionWrite) {
		rows, err := h.Store.Events(r.Context(), workspace, store.EventFilter{Status: []cronium.EventStatus{cronium.EventActive, cronium.EventPaused, cronium.EventDraft}, Limit: 200})
		if err != nil {
			return page, nil, err
		}
		for i := range rows {
			if rows[i].ID != head.Event.ID {
				page.Choices = append(page.Choices, rows[i].Event)
			}
		}
	}
	return page, version, nil
}

func (h *Handlers) thenPage(w http.ResponseWriter, r *http.Request) error {
	page, _, err := h.eventThen(r)
	if err != nil {
		return err
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

// addThen adds an action, as a new version.
func (h *Handlers) addThen(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	page, version, err := h.eventThen(r)
	if err != nil {
		return err
	}
	page.Form = views.ThenForm{When: r.PostForm.Get("when"), Event: r.PostForm.Get("event"), Input: lines(r.PostForm.Get("input"))}
	id, ok := cronium.ParseID(page.Form.Event)
	var problems cronium.Problems
	problems.Add(ok, "event", "must be chosen")
	if raw := rawJSON(page.Form.Input); len(raw) > 0 {
		document, parseErr := template.ParseDocument(raw)
		problems.Add(parseErr == nil, "input", "cannot be used: %v", parseErr)
		if parseErr == nil {
			unknown := document.Unknown(stepNames())
			problems.Add(len(unknown) == 0, "input", "names what there is not: %s", strings.Join(unknown, ", "))
		}
	}
	if err = problems.Err("The action"); err == nil {
		step := &cronium.EventStep{ID: id, Input: rawJSON(page.Form.Input)}
		actions := append(slices.Clone(version.Content.Then), cronium.Action{When: cronium.When(page.Form.When), Event: step})
		err = h.saveThen(r, version, actions, "Added what runs "+cronium.When(page.Form.When).Words())
	}
	if err == nil {
		return redirect(w, r, "/events/"+page.Event.ID.String()+"/then?done=saved")
	}
	problems, message, status, ok := fieldProblems(w, err)
	if !ok {
		return err
	}
	prefix := fmt.Sprintf("then[%d].", len(version.Content.Then))
	for i, p := range problems {
		problems[i].Field = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(p.Field, prefix), "event."), ".id")
		if problems[i].Field == "id" {
			problems[i].Field = "event"
		}
	}
	page.Problems, page.Message = problems, message
	return h.render(w, r, status, page.Page())
}

// removeThen removes an action, as a new version.
func (h *Handlers) removeThen(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	page, version, err := h.eventThen(r)
	if err != nil {
		return err
	}
	n, convErr := strconv.Atoi(r.PostForm.Get("number"))
	if convErr != nil || n < 0 || n >= len(version.Content.Then) {
		return cronium.Errorf(cronium.CodeConflict, "There is no such action any more. Look at the page again.")
	}
	actions := slices.Delete(slices.Clone(version.Content.Then), n, n+1)
	if err := h.saveThen(r, version, actions, "Removed what ran "+version.Content.Then[n].When.Words()); err != nil {
		return err
	}
	return redirect(w, r, "/events/"+page.Event.ID.String()+"/then?done=saved")
}

// saveThen stores actions on top of the version that the form has seen.
func (h *Handlers) saveThen(r *http.Request, version *cronium.EventVersion, actions []cronium.Action, note string) error {
	p := principal(r)
	base, err := strconv.Atoi(r.PostForm.Get("base"))
	if err != nil {
		base = 0 // no version is this one, so it is refused as an old one
	}
	content := version.Content
	content.Then = actions
	if _, err := h.Store.SaveVersion(r.Context(), p.WorkspaceID, version.EventID, base, content, note, author(p)); err != nil {
		return err
	}
	h.eventsMoved(r)
	return nil
}

// followed is what followed a job.
func (h *Handlers) followed(ctx context.Context, workspace, job cronium.ID) ([]views.FollowedRow, error) {
	list, err := h.Store.FollowUps(ctx, workspace, job)
	rows := make([]views.FollowedRow, 0, len(list))
	for _, f := range list {
		row := views.FollowedRow{When: f.When, Name: f.EventName, Next: f.NextJob, Note: f.Note}
		if row.Name == "" {
			row.Name = "An event that is not there any more"
		}
		rows = append(rows, row)
	}
	return rows, err
}
