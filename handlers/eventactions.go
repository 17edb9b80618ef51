package handlers

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/inputschema"
	"cronium.dev/jobs"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/components"
)

// runForm asks for the input of one run: empty, the event's own, or with
// ?job=ID that of an earlier job.
func (h *Handlers) runForm(w http.ResponseWriter, r *http.Request) error {
	head, version, err := h.eventHead(r, "")
	if err != nil {
		return err
	}
	input := version.Content.Input
	if id, ok := cronium.ParseID(r.URL.Query().Get("job")); ok {
		job, err := h.Store.Job(r.Context(), principal(r).WorkspaceID, id)
		if err != nil {
			return err
		}
		input = job.Input
	}
	schema, err := inputschema.Compile(version.Content.InputSchema)
	if err != nil {
		return err
	}
	page := views.EventRun{Event: head.Event, Fields: inputFields(schema, textValues(input)), Input: components.JSONText(input)}
	if page.On, err = h.runOn(r, version.Content.On, ""); err != nil {
		return err
	}
	return h.renderRunForm(w, r, http.StatusOK, page)
}

func (h *Handlers) renderRunForm(w http.ResponseWriter, r *http.Request, status int, page views.EventRun) error {
	var err error
	if page.Frame, err = h.eventFrame(r, &page.Event); err != nil {
		return err
	}
	return h.render(w, r, status, page.Page())
}

// textValues are the values of a flat object as a form writes them.
func textValues(input json.RawMessage) map[string]string {
	var object map[string]json.RawMessage
	if json.Unmarshal(input, &object) != nil {
		return nil
	}
	values := map[string]string{}
	for name, value := range object {
		values[name] = inputschema.OptionText(value)
	}
	return values
}

// runEvent starts a job: with the event's own input where the form sends none.
func (h *Handlers) runEvent(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	head, version, err := h.eventHead(r, "")
	if err != nil {
		return err
	}
	schema, err := inputschema.Compile(version.Content.InputSchema)
	if err != nil {
		return err
	}
	input, problems := sentInput(r, schema)
	p := principal(r)
	var job *cronium.Job
	if err = problems.Err("The input"); err == nil {
		job, err = h.Engine.Enqueue(r.Context(), jobs.Request{
			WorkspaceID: p.WorkspaceID, EventID: head.Event.ID, Input: input, Trigger: p.Trigger(), TriggeredBy: p.DisplayName(),
			Selector: strings.TrimSpace(r.PostForm.Get("on"))})
	}
	if err == nil {
		return redirect(w, r, "/jobs/"+job.ID.String())
	}
	problems, _, status, ok := formProblems(w, err)
	if !ok || len(problems) == 0 {
		return err
	}
	page := views.EventRun{Event: head.Event, Fields: inputFields(schema, typedValues(r)), Input: r.PostForm.Get("input"), Problems: problems}
	if page.On, err = h.runOn(r, version.Content.On, r.PostForm.Get("on")); err != nil {
		return err
	}
	return h.renderRunForm(w, r, status, page)
}

// sentInput is the input that a form sent, by the schema's fields or as JSON;
// nil if it has neither.
func sentInput(r *http.Request, schema *inputschema.Schema) (json.RawMessage, cronium.Problems) {
	if text, sent := r.PostForm["input"]; sent {
		return rawJSON(lines(text[0])), nil
	}
	if len(typedValues(r)) == 0 {
		return nil, nil
	}
	return schema.FromForm(func(name string) []string { return r.PostForm["input."+name] })
}

// typedValues are what was typed into the schema's fields.
func typedValues(r *http.Request) map[string]string {
	values := map[string]string{}
	for name, sent := range r.PostForm {
		if field, ok := strings.CutPrefix(name, "input."); ok {
			values[field] = sent[0]
		}
	}
	return values
}

// testRun runs what is in the editor, unsaved, and answers with its output.
func (h *Handlers) testRun(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	page, err := h.editor(r, editorTab(r.PostForm.Get("tab")))
	if err != nil {
		return err
	}
	form, content, unread := eventForm(r.PostForm)
	job, err := h.startTest(r, page.Event.ID, content, unread)
	if err != nil {
		problems, message, status, ok := formProblems(w, err)
		if !ok {
			return err
		}
		page.Form, page.Problems, page.Message = form, problems, message
		if err := h.choices(r, &page); err != nil {
			return err
		}
		if isFragment(r) {
			return h.render(w, r, status, page.TestRefused())
		}
		return h.render(w, r, status, page.Page())
	}
	if !isFragment(r) {
		return redirect(w, r, "/jobs/"+job.ID.String())
	}
	row, err := h.Store.Job(r.Context(), job.WorkspaceID, job.ID)
	if err != nil {
		return err
	}
	run, err := h.run(r, row)
	if err != nil {
		return err
	}
	run.Principal, run.Now = principal(r), time.Now()
	return h.render(w, r, http.StatusOK, run.TestRun())
}

func (h *Handlers) startTest(r *http.Request, event cronium.ID, content cronium.Content, unread cronium.Problems) (*cronium.Job, error) {
	if err := merged(unread, content.Validate()).Err("The event"); err != nil {
		return nil, err
	}
	p := principal(r)
	if err := h.checkContent(p, &content); err != nil {
		return nil, err
	}
	input, err := testInput(r, &content)
	if err != nil {
		return nil, err
	}
	return h.Engine.Enqueue(r.Context(), jobs.Request{
		WorkspaceID: p.WorkspaceID, EventID: event, Draft: &store.Draft{Content: content, Author: author(p)}, Input: input, Trigger: cronium.TriggerTest, TriggeredBy: p.DisplayName()})
}

// testInput is the input that was typed for the test run; nil for the
// content's own.
func testInput(r *http.Request, content *cronium.Content) (json.RawMessage, error) {
	typed := false
	for _, value := range typedValues(r) {
		typed = typed || value != ""
	}
	if !typed {
		return rawJSON(lines(r.PostForm.Get("test_input"))), nil
	}
	schema, err := inputschema.Compile(content.InputSchema)
	if err != nil {
		return nil, err
	}
	input, problems := schema.FromForm(func(name string) []string { return r.PostForm["input."+name] })
	return input, problems.Err("The input")
}

func (h *Handlers) setStatus(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	if _, err := h.Store.SetEventStatus(r.Context(), principal(r).WorkspaceID, id, cronium.EventStatus(r.PostForm.Get("status"))); err != nil {
		return err
	}
	h.eventsMoved(r)
	return redirect(w, r, "/events/"+id.String()+"?done=status")
}

func (h *Handlers) duplicateEvent(w http.ResponseWriter, r *http.Request) error {
	head, version, err := h.eventHead(r, "")
	if err != nil {
		return err
	}
	p := principal(r)
	if err := h.checkContent(p, &version.Content); err != nil {
		return err
	}
	e, err := h.Store.DuplicateEvent(r.Context(), p.WorkspaceID, head.Event.ID, "", author(p))
	if err != nil {
		return err
	}
	h.eventsMoved(r)
	return redirect(w, r, "/events/"+e.ID.String()+"/settings?done=duplicated")
}

func (h *Handlers) deleteEvent(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	if err := h.Store.DeleteEvent(r.Context(), principal(r).WorkspaceID, id); err != nil {
		return err
	}
	h.eventsMoved(r)
	return redirect(w, r, "/events?done=deleted")
}
