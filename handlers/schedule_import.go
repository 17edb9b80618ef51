package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/schedule"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

// crontabRequest is the text of a crontab, and where and by which clocks it shall
// run.
type crontabRequest struct {
	Text   string
	Format string // "", "user" or "system"
	Zone   string
	Target string // "container", or the id of a server
}

// crontabTime is the most that an imported command may take, in seconds: cron
// has no limit.
const crontabTime = 24 * 3600

// planCrontab reads a crontab, and says what becomes of each line: imported has
// an entry for each plan that is ok, in their order.
func (h *Handlers) planCrontab(ctx context.Context, request crontabRequest) (plans []views.CrontabPlan, ignored []views.ImportNote, imported []store.Imported, err error) {
	var problems cronium.Problems
	format := schedule.Format(request.Format)
	problems.Add(format == schedule.FormatAny || format == schedule.FormatUser || format == schedule.FormatSystem, "format", "must be user or system, or empty")
	problems.Add(strings.TrimSpace(request.Text) != "", "text", "must be there: paste what crontab -l prints")
	if _, err := schedule.Zone(request.Zone); err != nil {
		problems.Add(false, "zone", "%s", err)
	}
	target, err := h.crontabTarget(ctx, request.Target, &problems)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := problems.Err("The import"); err != nil {
		return nil, nil, nil, err
	}
	tab, err := schedule.ReadCrontab(request.Text, format)
	var problem *schedule.Problem
	if errors.As(err, &problem) {
		problems.Add(false, problem.Field, "%s", problem.Message)
		return nil, nil, nil, problems.Err("The import")
	}
	taken, err := h.Store.TakenNames(ctx, who(ctx).WorkspaceID)
	if err != nil {
		return nil, nil, nil, err
	}
	for i := range tab.Entries {
		plan, one := h.planEntry(&tab.Entries[i], request.Zone, target, taken)
		if plan.Problem == "" {
			if err := h.checkContent(who(ctx), &one.Content); err != nil {
				return nil, nil, nil, err
			}
			imported = append(imported, one)
		}
		plans = append(plans, plan)
	}
	for _, n := range tab.Notes {
		ignored = append(ignored, views.ImportNote(n))
	}
	return plans, ignored, imported, nil
}

// crontabTarget finds the server that is chosen; nil is a container.
func (h *Handlers) crontabTarget(ctx context.Context, target string, problems *cronium.Problems) (*cronium.ID, error) {
	if target == "" || target == string(cronium.TargetContainer) {
		return nil, nil
	}
	id, ok := cronium.ParseID(target)
	if !ok {
		problems.Add(false, "target", "must be container or the id of a server")
		return nil, nil
	}
	return &id, h.Store.HaveServers(ctx, who(ctx).WorkspaceID, []cronium.ID{id})
}

// planEntry is what becomes of one line. It takes the event's name.
func (h *Handlers) planEntry(e *schedule.CrontabEntry, zone string, server *cronium.ID, taken map[string]bool) (views.CrontabPlan, store.Imported) {
	plan := views.CrontabPlan{Line: e.Line, Name: e.Name, Command: e.Command, Notes: e.Notes, Problem: e.Problem}
	for n := 2; plan.Problem == "" && taken[strings.ToLower(plan.Name)]; n++ {
		plan.Name = fmt.Sprintf("%s (%d)", e.Name, n)
	}
	one := store.Imported{
		Event:    cronium.Event{Name: plan.Name, Type: cronium.EventBash, Status: cronium.EventActive, Description: fmt.Sprintf("From line %d of a crontab.", e.Line)},
		Content:  cronium.NewContent(cronium.EventBash),
		Schedule: cronium.DefaultSchedule(),
	}
	one.Content.Files[0].Content, one.Content.Environment = e.Script, e.Environment
	one.Content.Limits.TimeoutSeconds = crontabTime
	if server != nil {
		one.Content.Target, one.Content.On = cronium.TargetServers, &cronium.Fleet{Servers: []cronium.ID{*server}, RunAs: e.User}
		one.Content.On.Complete()
	} else if e.User != "" {
		plan.Notes = append(plan.Notes, "It ran as "+e.User+"; in a container it runs as the container's user.")
	}
	s := &one.Schedule
	s.Expression, s.Zone, s.JitterSeconds = e.Expression, zone, e.JitterSeconds
	if e.Zone != "" {
		s.Zone = e.Zone
	}
	if plan.Problem != "" {
		return plan, one
	}
	for _, p := range append(one.Content.Validate(), cronium.ValidateEvent(plan.Name, "", one.Event.Type)...) {
		plan.Problem = "Its " + p.Field + " " + p.Message + "."
	}
	if read, err := h.plans.Of(s); err == nil && plan.Problem == "" {
		plan.Words = read.Words()
		plan.Next, _ = read.Next(time.Now())
		taken[strings.ToLower(plan.Name)] = true
	}
	return plan, one
}

// makeCrontab makes the events of a crontab.
func (h *Handlers) makeCrontab(ctx context.Context, imported []store.Imported) error {
	if len(imported) == 0 {
		return cronium.Errorf(cronium.CodeInvalid, "No line of it can be made an event.")
	}
	p := who(ctx)
	if err := h.Store.ImportEvents(ctx, p.WorkspaceID, imported, "Imported from a crontab", author(p)); err != nil {
		return err
	}
	h.schedulesMoved(ctx)
	h.eventsChanged(p)
	return nil
}

func (h *Handlers) crontabPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderCrontab(w, r, http.StatusOK, views.CrontabImport{Zone: viewerZone(r).String()})
}

func (h *Handlers) renderCrontab(w http.ResponseWriter, r *http.Request, status int, page views.CrontabImport) error {
	servers, err := h.Store.ServersMatching(r.Context(), principal(r).WorkspaceID)
	if err != nil {
		return err
	}
	for i := range servers {
		page.Servers = append(page.Servers, choiceOf(&servers[i]))
	}
	page.Now = time.Now()
	page.Frame, err = h.counted(r, "Import crontab", layout.NavSchedule, layout.Crumb{Label: "Schedule", URL: "/schedule"})
	page.Modules = scheduleModules()
	if err != nil {
		return err
	}
	return h.render(w, r, status, page.Page())
}

// importCrontab shows what becomes of a crontab, or makes it.
func (h *Handlers) importCrontab(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	form := r.PostForm
	request := crontabRequest{Text: lines(form.Get("text")), Format: form.Get("format"), Zone: strings.TrimSpace(form.Get("zone")), Target: form.Get("target")}
	page := views.CrontabImport{Text: request.Text, Format: request.Format, Zone: request.Zone, Target: request.Target}
	plans, ignored, imported, err := h.planCrontab(r.Context(), request)
	if err == nil && form.Get("act") == "make" {
		if err = h.makeCrontab(r.Context(), imported); err == nil {
			return redirect(w, r, "/schedule?done=imported")
		}
	}
	status := http.StatusOK
	if err != nil {
		var ok bool
		if page.Problems, page.Message, status, ok = fieldProblems(w, err); !ok {
			return err
		}
	}
	page.Shown, page.Plans, page.Ignored = plans != nil || ignored != nil, plans, ignored
	return h.renderCrontab(w, r, status, page)
}
