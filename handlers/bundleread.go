package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cronium.dev/bundle"
	"cronium.dev/cronium"
)

// wanted is what documents ask for, complete and with its own documents, which
// can be compared with those of the workspace.
type wanted struct {
	documents []bundle.Document
	variables []bundledVariable
	servers   []bundledServer
	events    []bundledEvent
	problems  cronium.Problems
}

// readWanted reads documents over the defaults of new things, and over what is
// there where a value stays as it is unless it is given. What is wrong is named
// by the document and the field.
func readWanted(documents []bundle.Document, now *workspaceNow) *wanted {
	w := &wanted{}
	seen := map[string]bool{}
	for _, d := range documents {
		if id := strings.ToLower(d.ID()); seen[id] {
			w.wrong(d, cronium.Problems{{Field: "name", Message: "is there twice"}})
			continue
		} else {
			seen[id] = true
		}
		var form any
		var problems cronium.Problems
		var err error
		switch d.Kind {
		case bundle.KindVariable:
			form, err = w.variable(d, now)
		case bundle.KindServer:
			form, err = w.server(d)
		case bundle.KindEvent:
			form, problems, err = w.event(d)
		default:
			problems.Add(false, "kind", "must be %s", strings.Join(bundle.Kinds, ", "))
		}
		if err != nil {
			problems = append(problems, documentProblem(err))
		}
		if len(problems) > 0 {
			w.wrong(d, problems)
			continue
		}
		fields, err := json.Marshal(form)
		if err != nil {
			w.wrong(d, cronium.Problems{documentProblem(err)})
			continue
		}
		w.documents = append(w.documents, bundle.Document{Kind: d.Kind, Name: d.Name, Fields: fields, File: d.File, Line: d.Line})
	}
	return w
}

// wrong notes problems of a document under its name.
func (w *wanted) wrong(d bundle.Document, problems cronium.Problems) {
	for _, p := range problems {
		w.problems = append(w.problems, cronium.FieldError{Field: strings.TrimSuffix(d.ID()+": "+p.Field, ": "), Message: p.Message})
	}
}

// documentProblem puts an error of the JSON reader into words.
func documentProblem(err error) cronium.FieldError {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return cronium.FieldError{Field: kind.Field, Message: fmt.Sprintf("must be %s, not %s", goWords(kind.Type.Kind().String()), kind.Value)}
	}
	if _, field, unknown := strings.Cut(err.Error(), "unknown field "); unknown {
		return cronium.FieldError{Field: strings.Trim(field, `"`), Message: "is not a field of it; GET /api/v1/bundle/schema says which there are"}
	}
	return cronium.FieldError{Message: "cannot be read: " + strings.TrimPrefix(err.Error(), "json: ")}
}

// goWords are the kinds of Go as YAML has them.
func goWords(kind string) string {
	switch {
	case strings.HasPrefix(kind, "int"):
		return "a whole number"
	case strings.HasPrefix(kind, "float"):
		return "a number"
	case kind == "bool":
		return "true or false"
	case kind == "slice":
		return "a list"
	case kind == "struct", kind == "map":
		return "fields with values"
	}
	return "text"
}

// variable keeps the value that there is, unless another is given.
func (w *wanted) variable(d bundle.Document, now *workspaceNow) (any, error) {
	form := bundledVariable{Type: cronium.VariableString, AllEvents: true}
	var given struct {
		Type      *cronium.VariableType `json:"type"`
		AllEvents *bool                 `json:"all_events"`
		Events    []string              `json:"events"`
	}
	if err := strictly(d.Fields, &form); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(d.Fields, &given); err != nil {
		return nil, err
	}
	old := now.variables[d.Name]
	if given.Type == nil && form.Value != nil {
		form.Type = cronium.TypeOf(form.Value)
	} else if given.Type == nil && old != nil {
		form.Type = old.Type
	}
	if given.AllEvents == nil {
		form.AllEvents = !form.Secret && given.Events == nil
	}
	slices.Sort(form.Events)
	if old != nil && form.Value == nil {
		form.Value = old.Value
	}
	w.variables = append(w.variables, form)
	if form.Secret && form.Value != nil { // it is in no answer
		form.Value = json.RawMessage(`"(given)"`)
	}
	return form, nil
}

func (w *wanted) server(d bundle.Document) (any, error) {
	form := bundledServer{Port: 22}
	if err := strictly(d.Fields, &form); err != nil {
		return nil, err
	}
	w.servers = append(w.servers, form)
	return form, nil
}

// event fills in what a new event of the type has.
func (w *wanted) event(d bundle.Document) (any, cronium.Problems, error) {
	var raw struct {
		Name        string              `json:"name"`
		Description string              `json:"description"`
		Type        cronium.EventType   `json:"type"`
		Status      cronium.EventStatus `json:"status"`
		Content     json.RawMessage     `json:"content"`
		Schedules   []json.RawMessage   `json:"schedules"`
		Webhooks    []json.RawMessage   `json:"webhooks"`
	}
	if err := strictly(d.Fields, &raw); err != nil {
		return nil, nil, err
	}
	form := bundledEvent{Name: raw.Name, Description: raw.Description, Type: raw.Type, Status: raw.Status}
	if form.Status == "" {
		form.Status = cronium.EventActive
	}
	problems := cronium.ValidateEvent(form.Name, form.Description, form.Type)
	problems.Add(slices.Contains([]cronium.EventStatus{cronium.EventDraft, cronium.EventActive, cronium.EventPaused}, form.Status), "status", "must be DRAFT, ACTIVE or PAUSED")
	if len(problems) > 0 {
		return nil, problems, nil
	}
	form.Content = bundledContent{Content: cronium.NewContent(form.Type)}
	entry := form.Content.Entry
	form.Content.Files, form.Content.Entry = nil, ""
	if err := under("content", strictly(raw.Content, &form.Content)); err != nil {
		return nil, nil, err
	}
	if form.Content.Entry == "" {
		if form.Content.Entry = entry; len(form.Content.Files) == 1 {
			form.Content.Entry = form.Content.Files[0].Name
		}
	}
	if form.Content.On != nil {
		form.Content.On.Complete()
	}
	names := map[string]bool{}
	for i, text := range raw.Schedules {
		s := bundleSchedule(cronium.DefaultSchedule())
		if err := under(fmt.Sprintf("schedules[%d]", i), strictly(text, &s)); err != nil {
			return nil, nil, err
		}
		problems.Add(!names[s.id()], fmt.Sprintf("schedules[%d].name", i), "must differ from that of the event's other schedules")
		names[s.id()] = true
		form.Schedules = append(form.Schedules, s)
	}
	slices.SortFunc(form.Schedules, func(a, b bundledSchedule) int { return strings.Compare(a.Name, b.Name) })
	hooks := map[string]bool{}
	for i, text := range raw.Webhooks {
		hook, err := bundleWebhook(text)
		if err := under(fmt.Sprintf("webhooks[%d]", i), err); err != nil {
			return nil, nil, err
		}
		problems.Add(!hooks[strings.ToLower(hook.Name)], fmt.Sprintf("webhooks[%d].name", i), "must differ from that of the event's other webhooks")
		hooks[strings.ToLower(hook.Name)] = true
		form.Webhooks = append(form.Webhooks, hook)
	}
	slices.SortFunc(form.Webhooks, func(a, b WebhookSettings) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	w.events = append(w.events, form)
	return form, problems, nil
}

// bundleWebhook reads a webhook over what a new one of its style has.
func bundleWebhook(text json.RawMessage) (WebhookSettings, error) {
	var style struct{ Style cronium.WebhookStyle }
	if err := json.Unmarshal(text, &style); err != nil {
		return WebhookSettings{}, err
	}
	hook := cronium.NewWebhook()
	if style.Style != "" {
		setStyle(&hook, style.Style)
	}
	settings := webhookSettings(&hook)
	return settings, strictly(text, &settings)
}

// under says of an error of the JSON reader where the text stood.
func under(place string, err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		inner := *kind
		inner.Field = strings.TrimSuffix(place+"."+kind.Field, ".")
		return &inner
	}
	return err
}
