package handlers

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"cronium.dev/bundle"
	"cronium.dev/cronium"
	"cronium.dev/store"
)

// applyBundle makes a workspace what documents say: all of it in one transaction,
// or nothing. dry says what would change and changes nothing. prune takes out what
// the documents do not have: events and servers are archived, the rest is deleted.
func (a *api) applyBundle(ctx context.Context, documents []bundle.Document, dry, prune bool) ([]bundle.Change, error) {
	p := who(ctx)
	var changes []bundle.Change
	if dry {
		ctx = context.WithValue(ctx, dryKey{}, true)
	}
	err := a.Store.InOne(ctx, p.WorkspaceID, func(ctx context.Context) error {
		now, err := a.workspaceAsDocuments(ctx, p.WorkspaceID)
		if err != nil {
			return err
		}
		w := readWanted(documents, now)
		if err := w.problems.Err("The documents"); err != nil {
			return err
		}
		if changes, err = bundle.Compare(now.documents, w.documents, prune); err != nil {
			return err
		}
		if err := mayApply(p, changes); err != nil {
			return err
		}
		run := &applying{api: a, p: p, now: now, prune: prune, ids: map[string]cronium.ID{}}
		if err := run.all(ctx, w, changes); err != nil {
			return err
		}
		if dry {
			return errDry // what was tried is taken back
		}
		return nil
	})
	if errors.Is(err, errDry) {
		return changes, nil
	}
	if err == nil {
		a.eventsChanged(p)
		a.schedulesMoved(ctx)
		a.bundleApplied(ctx)
	}
	return changes, err
}

// dryKey marks a context whose changes are taken back, so that nobody is told.
type dryKey struct{}

// isDry tells whether what is done is only tried.
func isDry(ctx context.Context) bool { return ctx.Value(dryKey{}) != nil }

// errDry ends a transaction whose changes were only to be tried.
var errDry = errors.New("nothing is to be stored")

// mayApply makes sure that who changes servers may.
func mayApply(p *cronium.Principal, changes []bundle.Change) error {
	for _, c := range changes {
		if c.Kind == bundle.KindServer && c.Action != bundle.Same && c.Action != bundle.Kept {
			return authorize(p, cronium.PermissionAdmin)
		}
	}
	return nil
}

// applying is one run over the changes.
type applying struct {
	*api
	p     *cronium.Principal
	now   *workspaceNow
	prune bool
	ids   map[string]cronium.ID // of things by kind and name, as they become
}

// all carries the changes out: servers, events, variables, because events name
// servers and variables name events; then what goes.
func (r *applying) all(ctx context.Context, w *wanted, changes []bundle.Change) error {
	action := map[string]bundle.Action{}
	for _, c := range changes {
		action[c.Kind+" "+c.Name] = c.Action
	}
	for name, s := range r.now.servers {
		r.ids["server "+name] = s.ID
	}
	for name, e := range r.now.events {
		r.ids["event "+name] = e.ID
	}
	for _, s := range w.servers {
		if err := inDocument(bundle.KindServer, s.Name, r.server(ctx, s, action["server "+s.Name])); err != nil {
			return err
		}
	}
	for _, e := range followersFirst(w.events) {
		if err := inDocument(bundle.KindEvent, e.Name, r.event(ctx, e, action["event "+e.Name])); err != nil {
			return err
		}
	}
	for _, v := range w.variables {
		name := bundle.VariableName(v.Key, v.Environment)
		if err := inDocument(bundle.KindVariable, name, r.variable(ctx, v, action["variable "+name])); err != nil {
			return err
		}
	}
	for _, c := range changes {
		if c.Action == bundle.Remove {
			if err := inDocument(c.Kind, c.Name, r.remove(ctx, c)); err != nil {
				return err
			}
		}
	}
	return nil
}

// followersFirst puts events before those that run them afterwards, so that they
// exist when they are named. Circles are refused when the last of them is saved.
func followersFirst(events []bundledEvent) []bundledEvent {
	byName := map[string]bundledEvent{}
	for _, e := range events {
		byName[strings.ToLower(e.Name)] = e
	}
	var ordered []bundledEvent
	seen := map[string]bool{}
	var visit func(e bundledEvent)
	visit = func(e bundledEvent) {
		if name := strings.ToLower(e.Name); !seen[name] {
			seen[name] = true
			for _, a := range e.Content.Then {
				if follower, ok := byName[strings.ToLower(a.Event)]; ok {
					visit(follower)
				}
			}
			ordered = append(ordered, e)
		}
	}
	for _, e := range events {
		visit(e)
	}
	return ordered
}

// inDocument says of a refusal which document it is about.
func inDocument(kind, name string, err error) error {
	var e *cronium.Error
	if !errors.As(err, &e) {
		return err
	}
	named := *e
	named.Fields = nil
	for _, f := range e.Fields {
		named.Fields = append(named.Fields, cronium.FieldError{Field: kind + " " + name + ": " + f.Field, Message: f.Message})
	}
	if len(named.Fields) == 0 {
		named.Fields = []cronium.FieldError{{Field: kind + " " + name, Message: e.Message}}
	}
	return &named
}

func (r *applying) server(ctx context.Context, s bundledServer, action bundle.Action) error {
	in := serverInput{Name: s.Name, Description: s.Description, Environment: s.Environment, Tags: s.Tags, Address: s.Address, Port: s.Port, User: s.User, Jumps: s.Jumps}
	switch action {
	case bundle.Add:
		if other := r.now.servers[strings.ToLower(s.Name)]; other != nil {
			return cronium.Errorf(cronium.CodeConflict, "A server with an installed agent, or with other capitals, has the name.")
		}
		made := &cronium.Server{ID: cronium.NewID(), WorkspaceID: r.p.WorkspaceID, Kind: cronium.ServerSSH}
		r.ids["server "+strings.ToLower(s.Name)] = made.ID
		return r.saveServer(ctx, made, in)
	case bundle.Modify:
		return r.changeServer(ctx, r.now.servers[strings.ToLower(s.Name)], in)
	}
	return nil
}

// content puts ids in place of names.
func (r *applying) content(form bundledContent) (cronium.Content, error) {
	content := form.Content
	content.On, content.Then = nil, nil
	var problems cronium.Problems
	for i, a := range form.Then {
		id, ok := r.ids["event "+strings.ToLower(a.Event)]
		problems.Add(ok, fmt.Sprintf("content.then[%d].event", i), "must be the name of an event, and there is none named %s", a.Event)
		content.Then = append(content.Then, cronium.Action{When: a.When, Event: &cronium.EventStep{ID: id, Input: a.Input}})
	}
	if form.On == nil {
		if err := problems.Err("The event"); err != nil {
			return content, err
		}
		return content, underContent(r.checkContent(r.p, &content))
	}
	fleet := form.On.Fleet
	fleet.Servers = nil
	for i, name := range form.On.Servers {
		id, ok := r.ids["server "+strings.ToLower(name)]
		problems.Add(ok, fmt.Sprintf("content.on.servers[%d]", i), "must be the name of a server, and there is none named %s", name)
		fleet.Servers = append(fleet.Servers, id)
	}
	if err := problems.Err("The event"); err != nil {
		return content, err
	}
	content.On = &fleet
	return content, underContent(r.checkContent(r.p, &content))
}

const applyNote = "Applied from files"

func (r *applying) event(ctx context.Context, form bundledEvent, action bundle.Action) error {
	content, err := r.content(form.Content)
	if err != nil {
		return err
	}
	switch action {
	case bundle.Add:
		status := form.Status
		if status == cronium.EventPaused {
			status = cronium.EventActive
		}
		e := &store.WholeEvent{Event: cronium.Event{Name: form.Name, Description: form.Description, Type: form.Type, Status: status}}
		if err := r.Store.CreateEvent(ctx, r.p.WorkspaceID, &e.Event, content, applyNote, author(r.p)); err != nil {
			return underContent(err)
		}
		r.ids["event "+strings.ToLower(form.Name)] = e.ID
		return r.eventParts(ctx, e, form)
	case bundle.Modify:
		e := r.now.events[strings.ToLower(form.Name)]
		if e.Type != form.Type {
			return cronium.Problems{{Field: "type", Message: fmt.Sprintf("is %s and cannot change; make another event", e.Type)}}.Err("The event")
		}
		change := store.Replacement{Description: &form.Description, Author: author(r.p)}
		if !reflect.DeepEqual(r.now.content(content), r.now.content(e.Content)) {
			change.Content, change.Note = &content, applyNote
		}
		if _, err := r.Store.ReplaceEvent(ctx, r.p.WorkspaceID, e.ID, e.Version, change); err != nil {
			return underContent(err)
		}
		return r.eventParts(ctx, e, form)
	}
	return nil
}

// eventParts brings status, schedules and webhooks of an event to what its form
// says. What the form does not have stays, unless things are to be pruned.
func (r *applying) eventParts(ctx context.Context, e *store.WholeEvent, form bundledEvent) error {
	if e.Status != form.Status {
		if _, err := r.Store.SetEventStatus(ctx, r.p.WorkspaceID, e.ID, form.Status); err != nil {
			return err
		}
	}
	if err := r.schedules(ctx, e, form.Schedules); err != nil {
		return err
	}
	return r.webhooks(ctx, e, form.Webhooks)
}

func (r *applying) schedules(ctx context.Context, e *store.WholeEvent, forms []bundledSchedule) error {
	have := map[string]cronium.Schedule{}
	for _, s := range e.Schedules {
		form := bundleSchedule(s)
		have[form.id()] = s
	}
	for _, form := range forms {
		old, ok := have[form.id()]
		delete(have, form.id())
		if !ok {
			s := cronium.Schedule{EventID: e.ID}
			form.put(&s)
			if err := r.Store.CreateSchedule(ctx, r.p.WorkspaceID, &s); err != nil {
				return inPart("schedules", form.id(), err)
			}
		} else if !reflect.DeepEqual(bundleSchedule(old), form) {
			if _, err := r.Store.ChangeSchedule(ctx, r.p.WorkspaceID, old.ID, form.put); err != nil {
				return inPart("schedules", form.id(), err)
			}
		}
	}
	for _, s := range have {
		if r.prune {
			if err := r.Store.DeleteSchedule(ctx, r.p.WorkspaceID, s.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// put sets a schedule to what the form says.
func (s bundledSchedule) put(to *cronium.Schedule) {
	to.Name, to.Kind, to.Expression, to.Zone, to.StartsAt, to.EndsAt, to.MaxRuns = s.Name, s.Kind, s.Expression, s.Zone, s.StartsAt, s.EndsAt, s.MaxRuns
	to.Missed, to.MissedLimit, to.Overlap, to.JitterSeconds, to.Input, to.Paused = s.Missed, s.MissedLimit, s.Overlap, s.JitterSeconds, s.Input, s.Paused
}

func (r *applying) webhooks(ctx context.Context, e *store.WholeEvent, forms []WebhookSettings) error {
	have := map[string]cronium.Webhook{}
	for _, w := range e.Webhooks {
		have[strings.ToLower(w.Name)] = w
	}
	for _, form := range forms {
		old, ok := have[strings.ToLower(form.Name)]
		delete(have, strings.ToLower(form.Name))
		if !ok {
			made := cronium.Webhook{EventID: e.ID}
			form.put(&made)
			if _, err := r.makeWebhook(ctx, &made, ""); err != nil {
				return inPart("webhooks", form.Name, err)
			}
		} else if !reflect.DeepEqual(webhookSettings(&old), form) {
			if _, err := r.changeWebhook(ctx, old.ID, form.put); err != nil {
				return inPart("webhooks", form.Name, err)
			}
		}
	}
	for _, w := range have {
		if r.prune {
			if err := r.removeWebhook(ctx, w.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// put sets a webhook to what the settings say.
func (s WebhookSettings) put(w *cronium.Webhook) {
	w.Name, w.Style, w.Header, w.TimestampHeader, w.WindowSeconds, w.OnceHeader = s.Name, s.Style, s.Header, s.TimestampHeader, s.WindowSeconds, s.OnceHeader
	w.Headers, w.Allow, w.WaitSeconds, w.RatePerMinute, w.Enabled = s.Headers, s.Allow, s.WaitSeconds, s.RatePerMinute, s.Enabled
}

// inPart says of a refusal which part of a document it is about.
func inPart(list, name string, err error) error {
	var e *cronium.Error
	if !errors.As(err, &e) {
		return err
	}
	named := *e
	named.Fields = slices.Clone(e.Fields)
	for i := range named.Fields {
		named.Fields[i].Field = fmt.Sprintf("%s[%s].%s", list, name, named.Fields[i].Field)
	}
	return &named
}

func (r *applying) variable(ctx context.Context, form bundledVariable, action bundle.Action) error {
	change := variableChange{Key: &form.Key, Environment: &form.Environment, Description: &form.Description, Type: &form.Type, Secret: &form.Secret, AllEvents: &form.AllEvents,
		Value: form.Value, Events: []cronium.ID{}}
	var problems cronium.Problems
	for i, name := range form.Events {
		id, ok := r.ids["event "+strings.ToLower(name)]
		problems.Add(ok, fmt.Sprintf("events[%d]", i), "must be the name of an event, and there is none named %s", name)
		change.Events = append(change.Events, id)
	}
	if err := problems.Err("The variable"); err != nil {
		return err
	}
	switch action {
	case bundle.Add:
		if form.Value == nil && form.Secret {
			return cronium.Problems{{Field: "value", Message: "is not there yet and in no file: give value_env, the name of an environment variable that has it, or make the secret on the page Variables first"}}.Err("The variable")
		}
		_, err := r.makeVariable(ctx, r.p, change)
		return err
	case bundle.Modify:
		old := r.now.variables[bundle.VariableName(form.Key, form.Environment)].WorkspaceVariable
		if !form.Secret && string(old.Value) == string(form.Value) {
			change.Value = nil
		}
		return r.changeVariable(ctx, r.p, &old, change)
	}
	return nil
}

// remove takes out what the documents do not have.
func (r *applying) remove(ctx context.Context, c bundle.Change) error {
	switch c.Kind {
	case bundle.KindVariable:
		return r.Store.DeleteVariable(ctx, r.p.WorkspaceID, r.now.variables[c.Name].ID)
	case bundle.KindServer:
		return r.Store.ArchiveServer(ctx, r.p.WorkspaceID, r.now.servers[strings.ToLower(c.Name)].ID, true)
	}
	_, err := r.Store.SetEventStatus(ctx, r.p.WorkspaceID, r.now.events[strings.ToLower(c.Name)].ID, cronium.EventArchived)
	return err
}
