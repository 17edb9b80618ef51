package handlers

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/store"
)

func (a *api) scheduleOperations() {
	const write = "What is not sent is as a new schedule has it."
	add(a, operation{method: http.MethodGet, path: "/schedules", permission: cronium.PermissionRead, id: "list-schedules", tag: "Schedules",
		summary: "List schedules, the next to fire first"}, a.listSchedules)
	add(a, operation{method: http.MethodPost, path: "/schedules", permission: cronium.PermissionWrite, id: "create-schedule", tag: "Schedules", status: http.StatusCreated,
		summary: "Let an event run by itself", description: write + " An expression that never fires is refused with the reason."}, a.createSchedule)
	add(a, operation{method: http.MethodGet, path: "/schedules/{id}", permission: cronium.PermissionRead, id: "get-schedule", tag: "Schedules",
		summary: "One schedule and its next instant"}, a.getSchedule)
	add(a, operation{method: http.MethodPatch, path: "/schedules/{id}", permission: cronium.PermissionWrite, id: "change-schedule", tag: "Schedules",
		summary: "Change or pause a schedule", description: "What is not sent stays as it is."}, a.changeSchedule)
	add(a, operation{method: http.MethodDelete, path: "/schedules/{id}", permission: cronium.PermissionWrite, id: "delete-schedule", tag: "Schedules", status: http.StatusNoContent,
		summary: "Delete a schedule", description: "Jobs that it has fired stay."}, a.deleteScheduleOperation)
	add(a, operation{method: http.MethodGet, path: "/schedules/{id}/instants", permission: cronium.PermissionRead, id: "list-instants-of-schedule", tag: "Schedules",
		summary: "What became of a schedule's instants, the newest first"}, a.listInstantsOf)
	add(a, operation{method: http.MethodGet, path: "/schedule/instants", permission: cronium.PermissionRead, id: "list-instants", tag: "Schedules",
		summary: "What became of the instants of all schedules, the newest first", description: "Those that fired in time are kept for 8 days, the others for 60."}, a.listInstants)
	add(a, operation{method: http.MethodGet, path: "/schedule/upcoming", permission: cronium.PermissionRead, id: "list-upcoming", tag: "Schedules",
		summary: "What will run", description: "The instants of the coming 24 hours, or of so many, as the schedules are now."}, a.listUpcoming)
	add(a, operation{method: http.MethodPost, path: "/schedule/preview", permission: cronium.PermissionRead, id: "preview-schedule", tag: "Schedules",
		summary: "Say in words when an expression fires, and its next instants", description: "Nothing is stored."}, a.previewSchedule)
	a.crontabOperations()
}

// APISchedule is a schedule as the API shows it.
type APISchedule struct {
	ID            cronium.ID            `json:"id"`
	EventID       cronium.ID            `json:"event_id"`
	Name          string                `json:"name"`
	Kind          cronium.ScheduleKind  `json:"kind" enum:"CRON,INTERVAL,ONCE"`
	Expression    string                `json:"expression"`
	Zone          string                `json:"zone"`
	Words         string                `json:"words" doc:"When it fires, in plain English"`
	StartsAt      *time.Time            `json:"starts_at,omitempty"`
	EndsAt        *time.Time            `json:"ends_at,omitempty"`
	MaxRuns       int                   `json:"max_runs" doc:"Jobs in all, 0 = no limit"`
	Missed        cronium.MissedPolicy  `json:"missed" enum:"SKIP,ONCE,ALL"`
	MissedLimit   int                   `json:"missed_limit"`
	Overlap       cronium.OverlapPolicy `json:"overlap" enum:"ALLOW,SKIP,QUEUE,CANCEL"`
	JitterSeconds int                   `json:"jitter_seconds"`
	Input         json.RawMessage       `json:"input,omitempty"`
	Paused        bool                  `json:"paused"`
	Runs          int                   `json:"runs" doc:"Jobs that it has fired"`
	LastJob       *cronium.ID           `json:"last_job,omitempty"`
	NextAt        *time.Time            `json:"next_at,omitempty" doc:"Absent where it never fires again"`
	CreatedAt     time.Time             `json:"created_at"`
	UpdatedAt     time.Time             `json:"updated_at"`
}

func (h *Handlers) apiScheduleOf(s *cronium.Schedule) APISchedule {
	return APISchedule{
		ID: s.ID, EventID: s.EventID, Name: s.Name, Kind: s.Kind, Expression: s.Expression, Zone: s.Zone, Words: h.scheduleWords(s),
		StartsAt: s.StartsAt, EndsAt: s.EndsAt, MaxRuns: s.MaxRuns, Missed: s.Missed, MissedLimit: s.MissedLimit, Overlap: s.Overlap,
		JitterSeconds: s.JitterSeconds, Input: s.Input, Paused: s.Paused, Runs: s.Runs, LastJob: s.LastJob, NextAt: s.NextAt,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
}

// ScheduleFields are what a request may set of a schedule; nil is not sent.
type ScheduleFields struct {
	Name          *string          `json:"name,omitempty" doc:"At most 120 characters; empty: its words"`
	Kind          *string          `json:"kind,omitempty" enum:"CRON,INTERVAL,ONCE"`
	Expression    *string          `json:"expression,omitempty" doc:"CRON: */15 8-18 * * 1-5, with seconds before it, @daily, CRON_TZ=Europe/Berlin 0 2 * * *. INTERVAL: 90s, 1h30m, 2d. ONCE: 2027-03-01 08:30" example:"*/15 8-18 * * 1-5"`
	Zone          *string          `json:"zone,omitempty" doc:"An IANA name" example:"Europe/Berlin"`
	StartsAt      *string          `json:"starts_at,omitempty" doc:"No instant before it, as RFC 3339; empty for none"`
	EndsAt        *string          `json:"ends_at,omitempty" doc:"No instant after it, as RFC 3339; empty for none"`
	MaxRuns       *int             `json:"max_runs,omitempty" doc:"Jobs in all, 0 = no limit"`
	Missed        *string          `json:"missed,omitempty" enum:"SKIP,ONCE,ALL" doc:"Instants at which no server ran: skipped, one run for all of them, or a run each for the last missed_limit"`
	MissedLimit   *int             `json:"missed_limit,omitempty" doc:"With ALL: 1 to 1,000"`
	Overlap       *string          `json:"overlap,omitempty" enum:"ALLOW,SKIP,QUEUE,CANCEL" doc:"While the last run goes on: run as well, skip, let one wait, or cancel the last one"`
	JitterSeconds *int             `json:"jitter_seconds,omitempty" doc:"Each instant is fired up to that later: 0 to 3,600"`
	Input         *json.RawMessage `json:"input,omitempty" doc:"Of its jobs; null for the event's own"`
	Paused        *bool            `json:"paused,omitempty" doc:"Its instants are recorded and fire nothing"`
}

// set takes a value where one was sent.
func set[T any](to, sent *T) {
	if sent != nil {
		*to = *sent
	}
}

// apply sets what was sent. It notes what cannot be read.
func (f *ScheduleFields) apply(s *cronium.Schedule, problems *cronium.Problems) {
	set(&s.Name, f.Name)
	set((*string)(&s.Kind), f.Kind)
	set(&s.Expression, f.Expression)
	set(&s.Zone, f.Zone)
	set(&s.MaxRuns, f.MaxRuns)
	set((*string)(&s.Missed), f.Missed)
	set(&s.MissedLimit, f.MissedLimit)
	set((*string)(&s.Overlap), f.Overlap)
	set(&s.JitterSeconds, f.JitterSeconds)
	set(&s.Paused, f.Paused)
	s.StartsAt = setMoment(s.StartsAt, f.StartsAt, "starts_at", problems)
	s.EndsAt = setMoment(s.EndsAt, f.EndsAt, "ends_at", problems)
	if f.Input != nil {
		if s.Input = *f.Input; string(s.Input) == "null" {
			s.Input = nil
		}
	}
}

func setMoment(old *time.Time, text *string, field string, problems *cronium.Problems) *time.Time {
	switch {
	case text == nil:
		return old
	case *text == "":
		return nil
	}
	t, err := time.Parse(time.RFC3339, *text)
	problems.Add(err == nil, field, "must be a time like 2027-03-01T08:30:00+01:00, or empty")
	return &t
}

type listSchedulesInput struct {
	ListInput
	Event  string `query:"event" doc:"Of this event alone"`
	Query  string `query:"q" doc:"Part of the event's or the schedule's name, in any case"`
	Paused string `query:"paused" enum:"true,false"`
	Sort   string `query:"sort" enum:"next,event" default:"next"`
}

type listSchedulesOutput struct {
	ListHead
	Body struct {
		Schedules []apiScheduleRow `json:"schedules"`
		Next      string           `json:"next,omitempty" doc:"Pass it as cursor for the next page; absent on the last"`
	}
}

type apiScheduleRow struct {
	APISchedule
	EventName   string              `json:"event_name"`
	EventStatus cronium.EventStatus `json:"event_status" enum:"DRAFT,ACTIVE,PAUSED,ARCHIVED"`
}

func (a *api) listSchedules(ctx context.Context, in *listSchedulesInput) (*listSchedulesOutput, error) {
	filter := store.ScheduleFilter{Query: in.Query, Sort: store.ScheduleSort(in.Sort), Limit: in.Limit}
	if in.Event != "" {
		id, err := apiID(in.Event)
		if err != nil {
			return nil, err
		}
		filter.Event = &id
	}
	if in.Paused != "" {
		paused := in.Paused == "true"
		filter.Paused = &paused
	}
	var after store.ScheduleCursor
	if given, err := decodeCursor(in.Cursor, &after); err != nil {
		return nil, err
	} else if given {
		filter.After = &after
	}
	rows, err := a.Store.Schedules(ctx, who(ctx).WorkspaceID, filter)
	if err != nil {
		return nil, err
	}
	out := &listSchedulesOutput{}
	out.Body.Schedules = make([]apiScheduleRow, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		out.Body.Schedules = append(out.Body.Schedules, apiScheduleRow{a.apiScheduleOf(&r.Schedule), r.EventName, r.EventStatus})
	}
	if len(rows) > 0 && len(rows) == in.Limit {
		out.Body.Next = encodeCursor(rows[len(rows)-1].Cursor())
	}
	out.Link = in.nextLink(out.Body.Next)
	return out, nil
}

// ScheduleID names a schedule.
type ScheduleID struct {
	ID string `path:"id"`
}

type scheduleOutput struct {
	Location string `header:"Location"`
	Body     APISchedule
}

func (a *api) getSchedule(ctx context.Context, in *ScheduleID) (*scheduleOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	s, err := a.Store.Schedule(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	return &scheduleOutput{Body: a.apiScheduleOf(s)}, nil
}

type createScheduleInput struct {
	Body struct {
		EventID string `json:"event_id,omitempty" doc:"Required"`
		ScheduleFields
	}
}

func (a *api) createSchedule(ctx context.Context, in *createScheduleInput) (*scheduleOutput, error) {
	var problems cronium.Problems
	s := cronium.DefaultSchedule()
	id, ok := cronium.ParseID(in.Body.EventID)
	problems.Add(ok, "event_id", "must be the id of an event")
	s.EventID = id
	in.Body.apply(&s, &problems)
	if err := problems.Err("The schedule"); err != nil {
		return nil, err
	}
	if err := a.Store.CreateSchedule(ctx, who(ctx).WorkspaceID, &s); err != nil {
		return nil, err
	}
	a.schedulesMoved(ctx)
	return &scheduleOutput{apiPrefix + "/schedules/" + s.ID.String(), a.apiScheduleOf(&s)}, nil
}

type changeScheduleInput struct {
	ScheduleID
	Body ScheduleFields
}

func (a *api) changeSchedule(ctx context.Context, in *changeScheduleInput) (*scheduleOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	var problems cronium.Problems
	in.Body.apply(&cronium.Schedule{}, &problems)
	if len(problems) > 0 {
		if _, err := a.Store.Schedule(ctx, who(ctx).WorkspaceID, id); err != nil {
			return nil, err
		}
		return nil, problems.Err("The schedule")
	}
	s, err := a.Store.ChangeSchedule(ctx, who(ctx).WorkspaceID, id, func(s *cronium.Schedule) { in.Body.apply(s, &problems) })
	if err != nil {
		return nil, err
	}
	a.schedulesMoved(ctx)
	return &scheduleOutput{Body: a.apiScheduleOf(s)}, nil
}

func (a *api) deleteScheduleOperation(ctx context.Context, in *ScheduleID) (*struct{}, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	if err := a.Store.DeleteSchedule(ctx, who(ctx).WorkspaceID, id); err != nil {
		return nil, err
	}
	a.schedulesMoved(ctx)
	return nil, nil
}

// schedulesMoved wakes whoever fires schedules, or shows them.
func (h *Handlers) schedulesMoved(ctx context.Context) {
	h.Hub.Publish(live.DueTopic, live.SchedulesTopic(who(ctx).WorkspaceID))
}
