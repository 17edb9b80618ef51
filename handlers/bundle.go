package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"cronium.dev/bundle"
	"cronium.dev/cronium"
	"cronium.dev/store"
)

// The forms of things in files: those of the API, with names in place of ids.
// Each is complete, so that two can be compared.

type bundledEvent struct {
	Name        string              `json:"name"`
	Description string              `json:"description,omitempty"`
	Type        cronium.EventType   `json:"type"`
	Status      cronium.EventStatus `json:"status"`
	Content     bundledContent      `json:"content"`
	Schedules   []bundledSchedule   `json:"schedules,omitempty"`
	Webhooks    []WebhookSettings   `json:"webhooks,omitempty"`
}

// bundledContent is a content whose servers and events have names.
type bundledContent struct {
	cronium.Content
	On   *bundledFleet   `json:"on,omitempty"`
	Then []bundledAction `json:"then,omitempty"`
}

// bundledAction runs another event after this one.
type bundledAction struct {
	When  cronium.When    `json:"when"`
	Event string          `json:"event"`
	Input json.RawMessage `json:"input,omitempty"`
}

type bundledFleet struct {
	cronium.Fleet
	Servers []string `json:"servers,omitempty"`
}

type bundledSchedule struct {
	Name          string                `json:"name,omitempty"`
	Kind          cronium.ScheduleKind  `json:"kind"`
	Expression    string                `json:"expression"`
	Zone          string                `json:"zone"`
	StartsAt      *time.Time            `json:"starts_at,omitempty"`
	EndsAt        *time.Time            `json:"ends_at,omitempty"`
	MaxRuns       int                   `json:"max_runs,omitempty"`
	Missed        cronium.MissedPolicy  `json:"missed"`
	MissedLimit   int                   `json:"missed_limit"`
	Overlap       cronium.OverlapPolicy `json:"overlap"`
	JitterSeconds int                   `json:"jitter_seconds,omitempty"`
	Input         json.RawMessage       `json:"input,omitempty"`
	Paused        bool                  `json:"paused,omitempty"`
}

// id tells the schedules of one event apart.
func (s *bundledSchedule) id() string {
	if s.Name != "" {
		return s.Name
	}
	return fmt.Sprintf("%s %s %s", s.Kind, s.Expression, s.Zone)
}

type bundledVariable struct {
	Key         string               `json:"key"`
	Environment string               `json:"environment,omitempty"`
	Type        cronium.VariableType `json:"type"`
	Secret      bool                 `json:"secret,omitempty"`
	Description string               `json:"description,omitempty"`
	AllEvents   bool                 `json:"all_events"`
	Events      []string             `json:"events,omitempty"`
	Value       json.RawMessage      `json:"value,omitempty"` // never of a secret that is stored
}

type bundledServer struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Environment string            `json:"environment,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Address     string            `json:"address"`
	Port        int               `json:"port"`
	User        string            `json:"user"`
	Jumps       []string          `json:"jumps,omitempty"`
}

// workspaceNow is a workspace as it is: its things as documents, and what their
// names stand for.
type workspaceNow struct {
	documents []bundle.Document
	events    map[string]*store.WholeEvent // by name in lower case
	variables map[string]*store.WholeVariable
	servers   map[string]*cronium.Server // by name in lower case
	names     map[cronium.ID]string      // of events and servers
}

// workspaceAsDocuments reads it. Servers with installed agents are in no file:
// their machines make them by joining.
func (h *Handlers) workspaceAsDocuments(ctx context.Context, workspace cronium.ID) (*workspaceNow, error) {
	whole, err := h.Store.Whole(ctx, workspace)
	if err != nil {
		return nil, err
	}
	now := &workspaceNow{events: map[string]*store.WholeEvent{}, variables: map[string]*store.WholeVariable{}, servers: map[string]*cronium.Server{}, names: map[cronium.ID]string{}}
	for i := range whole.Servers {
		s := &whole.Servers[i]
		now.servers[strings.ToLower(s.Name)], now.names[s.ID] = s, s.Name
	}
	for i := range whole.Events {
		e := &whole.Events[i]
		now.events[strings.ToLower(e.Name)], now.names[e.ID] = e, e.Name
	}
	add := func(kind, name string, form any) error {
		fields, err := json.Marshal(form)
		now.documents = append(now.documents, bundle.Document{Kind: kind, Name: name, Fields: fields})
		return err
	}
	for i := range whole.Variables {
		v := &whole.Variables[i]
		name := bundle.VariableName(v.Key, v.Environment)
		now.variables[name] = v
		if err := add(bundle.KindVariable, name, now.variable(v)); err != nil {
			return nil, err
		}
	}
	for i := range whole.Servers {
		if s := &whole.Servers[i]; s.Kind == cronium.ServerSSH {
			if err := add(bundle.KindServer, s.Name, now.server(s)); err != nil {
				return nil, err
			}
		}
	}
	for i := range whole.Events {
		if err := add(bundle.KindEvent, whole.Events[i].Name, now.event(&whole.Events[i])); err != nil {
			return nil, err
		}
	}
	return now, nil
}

// named gives the names of ids; one that is gone stays as it is.
func (now *workspaceNow) named(ids []cronium.ID) []string {
	var names []string
	for _, id := range ids {
		name, ok := now.names[id]
		if !ok {
			name = id.String()
		}
		names = append(names, name)
	}
	return names
}

func (now *workspaceNow) event(e *store.WholeEvent) bundledEvent {
	form := bundledEvent{Name: e.Name, Description: e.Description, Type: e.Type, Status: e.Status, Content: now.content(e.Content)}
	for _, s := range e.Schedules {
		form.Schedules = append(form.Schedules, bundleSchedule(s))
	}
	for i := range e.Webhooks {
		form.Webhooks = append(form.Webhooks, webhookSettings(&e.Webhooks[i]))
	}
	return form
}

func (now *workspaceNow) content(c cronium.Content) bundledContent {
	form := bundledContent{Content: c}
	if c.On != nil {
		form.On = &bundledFleet{Fleet: *c.On, Servers: now.named(c.On.Servers)}
	}
	for _, a := range c.Then {
		if a.Event != nil {
			form.Then = append(form.Then, bundledAction{When: a.When, Event: now.named([]cronium.ID{a.Event.ID})[0], Input: a.Event.Input})
		}
	}
	return form
}

func bundleSchedule(s cronium.Schedule) bundledSchedule {
	return bundledSchedule{Name: s.Name, Kind: s.Kind, Expression: s.Expression, Zone: s.Zone, StartsAt: s.StartsAt, EndsAt: s.EndsAt, MaxRuns: s.MaxRuns,
		Missed: s.Missed, MissedLimit: s.MissedLimit, Overlap: s.Overlap, JitterSeconds: s.JitterSeconds, Input: s.Input, Paused: s.Paused}
}

func (now *workspaceNow) variable(v *store.WholeVariable) bundledVariable {
	form := bundledVariable{Key: v.Key, Environment: v.Environment, Type: v.Type, Secret: v.Secret, Description: v.Description, AllEvents: v.AllEvents, Value: v.Value}
	if !v.AllEvents {
		form.Events = now.named(v.Events)
		slices.Sort(form.Events)
	}
	return form
}

func (now *workspaceNow) server(s *cronium.Server) bundledServer {
	return bundledServer{Name: s.Name, Description: s.Description, Environment: s.Environment, Tags: s.Tags, Address: s.Address, Port: s.Port, User: s.Login, Jumps: now.named(s.Jumps)}
}

// strictly reads JSON and refuses fields that are not known.
func strictly(text json.RawMessage, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// webhookSettings are the settings of a webhook, with lists where it has none.
func webhookSettings(w *cronium.Webhook) WebhookSettings {
	s := WebhookSettings{Name: w.Name, Style: w.Style, Header: w.Header, TimestampHeader: w.TimestampHeader, WindowSeconds: w.WindowSeconds, OnceHeader: w.OnceHeader,
		Headers: w.Headers, Allow: w.Allow, WaitSeconds: w.WaitSeconds, RatePerMinute: w.RatePerMinute, Enabled: w.Enabled}
	if s.Headers == nil {
		s.Headers = []string{}
	}
	if s.Allow == nil {
		s.Allow = []string{}
	}
	return s
}
