package handlers

import (
	"context"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/schedule"
	"cronium.dev/store"
)

// apiInstant is an instant of a schedule as the API shows it.
type apiInstant struct {
	ScheduleID  cronium.ID        `json:"schedule_id"`
	EventID     cronium.ID        `json:"event_id"`
	EventName   string            `json:"event_name"`
	Instant     time.Time         `json:"instant"`
	LastInstant *time.Time        `json:"last_instant,omitempty" doc:"Of several that were missed together"`
	Count       int               `json:"count" doc:"1, or how many were missed together"`
	Outcome     cronium.Outcome   `json:"outcome" enum:"FIRED,LATE,SKIPPED,MISSED"`
	Reason      string            `json:"reason,omitempty" doc:"Why it did not fire in time"`
	JobID       *cronium.ID       `json:"job_id,omitempty" doc:"The job that it fired, or that was in the way"`
	JobStatus   cronium.JobStatus `json:"job_status,omitempty"`
	JobResult   cronium.Result    `json:"job_result,omitempty"`
	DecidedAt   time.Time         `json:"decided_at"`
}

type listInstantsInput struct {
	ListInput
	Event   string    `query:"event" doc:"Of this event alone"`
	Outcome string    `query:"outcome" doc:"One or more of FIRED, LATE, SKIPPED, MISSED with commas between"`
	From    time.Time `query:"from" doc:"Not older than this"`
	To      time.Time `query:"to" doc:"Older than this"`
}

type listInstantsOfInput struct {
	ScheduleID
	ListInput
	Outcome string    `query:"outcome" doc:"One or more of FIRED, LATE, SKIPPED, MISSED with commas between"`
	From    time.Time `query:"from" doc:"Not older than this"`
	To      time.Time `query:"to" doc:"Older than this"`
}

type listInstantsOutput struct {
	ListHead
	Body struct {
		Instants []apiInstant `json:"instants"`
		Next     string       `json:"next,omitempty" doc:"Pass it as cursor for the next page; absent on the last"`
	}
}

// instantCursor is where the next page begins: before this one.
type instantCursor struct {
	At       time.Time
	Schedule cronium.ID
}

func (a *api) listInstants(ctx context.Context, in *listInstantsInput) (*listInstantsOutput, error) {
	filter := store.InstantFilter{From: in.From, To: in.To}
	if in.Event != "" {
		id, err := apiID(in.Event)
		if err != nil {
			return nil, err
		}
		filter.Event = &id
	}
	return a.instants(ctx, filter, in.Outcome, &in.ListInput)
}

func (a *api) listInstantsOf(ctx context.Context, in *listInstantsOfInput) (*listInstantsOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := a.Store.Schedule(ctx, who(ctx).WorkspaceID, id); err != nil {
		return nil, err
	}
	return a.instants(ctx, store.InstantFilter{Schedule: &id, From: in.From, To: in.To}, in.Outcome, &in.ListInput)
}

func (a *api) instants(ctx context.Context, filter store.InstantFilter, outcome string, list *ListInput) (*listInstantsOutput, error) {
	var err error
	if filter.Outcomes, err = words(outcome, "outcome", cronium.Outcomes); err != nil {
		return nil, err
	}
	var before instantCursor
	if given, err := decodeCursor(list.Cursor, &before); err != nil {
		return nil, err
	} else if given {
		filter.Before, filter.BeforeSchedule = &before.At, before.Schedule
	}
	filter.Limit = list.Limit
	rows, err := a.Store.Instants(ctx, who(ctx).WorkspaceID, filter)
	if err != nil {
		return nil, err
	}
	out := &listInstantsOutput{}
	out.Body.Instants = make([]apiInstant, 0, len(rows))
	for _, r := range rows {
		out.Body.Instants = append(out.Body.Instants, apiInstant{
			ScheduleID: r.ScheduleID, EventID: r.EventID, EventName: r.EventName, Instant: r.At, LastInstant: r.Last, Count: r.Count, Outcome: r.Outcome,
			Reason: r.Reason, JobID: r.Job, JobStatus: r.JobStatus, JobResult: r.JobResult, DecidedAt: r.Decided,
		})
	}
	if n := len(rows); n > 0 && n == list.Limit {
		out.Body.Next = encodeCursor(instantCursor{rows[n-1].At, rows[n-1].ScheduleID})
	}
	out.Link = list.nextLink(out.Body.Next)
	return out, nil
}

type listUpcomingInput struct {
	Hours int    `query:"hours" minimum:"1" maximum:"744" default:"24"`
	Limit int    `query:"limit" minimum:"1" maximum:"5000" default:"500"`
	Event string `query:"event" doc:"Of this event alone"`
}

type listUpcomingOutput struct {
	Body struct {
		Instants []apiUpcoming `json:"instants" doc:"The earliest first"`
		More     bool          `json:"more" doc:"There are more in these hours than limit"`
	}
}

type apiUpcoming struct {
	Instant    time.Time  `json:"instant"`
	ScheduleID cronium.ID `json:"schedule_id"`
	EventID    cronium.ID `json:"event_id"`
	EventName  string     `json:"event_name"`
	Name       string     `json:"name,omitempty" doc:"Of the schedule"`
}

func (a *api) listUpcoming(ctx context.Context, in *listUpcomingInput) (*listUpcomingOutput, error) {
	filter := store.ScheduleFilter{Limit: -1, Active: true}
	if in.Event != "" {
		id, err := apiID(in.Event)
		if err != nil {
			return nil, err
		}
		filter.Event = &id
	}
	rows, err := a.Store.Schedules(ctx, who(ctx).WorkspaceID, filter)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	list := a.upcoming(rows, now, now.Add(time.Duration(in.Hours)*time.Hour), in.Limit+1)
	out := &listUpcomingOutput{}
	if out.Body.More = len(list) > in.Limit; out.Body.More {
		list = list[:in.Limit]
	}
	out.Body.Instants = make([]apiUpcoming, 0, len(list))
	for _, u := range list {
		out.Body.Instants = append(out.Body.Instants, apiUpcoming{u.At, u.Row.ID, u.Row.EventID, u.Row.EventName, u.Row.Name})
	}
	return out, nil
}

type previewScheduleInput struct {
	Body struct {
		ScheduleFields
		Count int       `json:"count,omitempty" minimum:"1" maximum:"100" default:"5" doc:"Instants in the answer"`
		After time.Time `json:"after,omitzero" doc:"The first of them is after this; now where it is not sent"`
	}
}

type previewScheduleOutput struct {
	Body struct {
		Words string      `json:"words" example:"Every 15 minutes, 08:00–18:59, Monday to Friday, Europe/Berlin"`
		Next  []time.Time `json:"next"`
	}
}

func (a *api) previewSchedule(_ context.Context, in *previewScheduleInput) (*previewScheduleOutput, error) {
	var problems cronium.Problems
	s := cronium.DefaultSchedule()
	in.Body.apply(&s, &problems)
	if in.Body.After.IsZero() {
		in.Body.After = time.Now()
	}
	s.Anchor = in.Body.After
	problems = append(problems, s.Validate()...)
	plan, err := schedule.Of(&s)
	if problem, ok := err.(*schedule.Problem); ok {
		problems.Add(false, problem.Field, "%s", problem.Message)
	}
	if err := problems.Err("The schedule"); err != nil {
		return nil, err
	}
	out := &previewScheduleOutput{}
	out.Body.Words, out.Body.Next = plan.Words(), append([]time.Time{}, plan.Upcoming(in.Body.After, in.Body.Count)...)
	return out, nil
}
