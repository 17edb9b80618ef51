package handlers

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

const (
	groupsShown   = 20 // groups of hosts whose output is read for the page
	failuresShown = 3
	groupLines    = 6 // of each group's output
)

// fleetPage is a job on servers, live. ?part= asks for one part alone, which the
// page fetches as its hosts change.
func (h *Handlers) fleetPage(w http.ResponseWriter, r *http.Request, job *store.JobRow) error {
	page, err := h.fleet(r, job)
	if err != nil {
		return err
	}
	page.Principal = principal(r)
	part := r.URL.Query().Get("part")
	if part == "" || part == "same" || part == "side" {
		if err := h.explainFleet(r, &page); err != nil {
			return err
		}
	}
	if part == "" || part == "output" {
		if err := h.showHost(r, &page); err != nil {
			return err
		}
	}
	if page.Tab == "same" || part == "same" {
		if err := h.compareGroups(r, &page); err != nil {
			return err
		}
	}
	switch part {
	case "grid":
		return h.render(w, r, http.StatusOK, page.Grid())
	case "output":
		return h.render(w, r, http.StatusOK, page.Output())
	case "same":
		return h.render(w, r, http.StatusOK, page.Same())
	case "hosts":
		return h.render(w, r, http.StatusOK, page.Hosts())
	case "side":
		return h.render(w, r, http.StatusOK, page.Side())
	}
	page.Frame, err = h.counted(r, "Run "+cronium.ShortID(job.ID), layout.NavJobs,
		layout.Crumb{Label: "Events", URL: "/events"}, layout.Crumb{Label: page.Job.EventName, URL: "/events/" + page.Job.EventID.String()})
	if err != nil {
		return err
	}
	page.Modules = []string{"js/tabs.js", "js/dialog.js", "js/log.js", "js/hosts.js", "js/merged.js", "js/fleet.js"}
	if !page.Job.Status.Final() {
		page.Live = "/live?topics=job:" + job.ID.String()
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

// fleet reads what the page of a job on servers and its stream have in common.
func (h *Handlers) fleet(r *http.Request, job *store.JobRow) (views.Fleet, error) {
	ctx, workspace := r.Context(), principal(r).WorkspaceID
	page := views.Fleet{Now: time.Now(), Job: jobRowsOf([]store.JobRow{*job})[0], Tab: r.URL.Query().Get("tab")}
	var err error
	if page.Targets, err = h.Store.JobTargets(ctx, workspace, job.ID, store.TargetFilter{After: -1, Limit: cronium.MaxTargets}); err != nil {
		return page, err
	}
	if page.Artifacts, err = h.Store.Artifacts(ctx, workspace, job.ID); err != nil {
		return page, err
	}
	content, err := h.Engine.Content(ctx, workspace, job.EventID, job.Version)
	if err != nil {
		return page, err
	}
	page.Content = content
	return page, nil
}

// explainFleet adds who said the same and why hosts failed, for which outputs are
// read.
func (h *Handlers) explainFleet(r *http.Request, page *views.Fleet) (err error) {
	if page.Groups, page.Failures, err = h.groups(r, page.Targets); err != nil || !failed(&page.Job.Job) {
		return err
	}
	if page.LastGood, err = h.lastGood(r, &page.Job.Job); err != nil {
		return err
	}
	page.Changed = views.FleetDifferences(page.Targets)
	return nil
}

// showHost chooses whose output is on the page: the host that the address names,
// else the first that failed, else the first that has begun.
func (h *Handlers) showHost(r *http.Request, page *views.Fleet) error {
	name := r.URL.Query().Get("host")
	chosen := func(t cronium.JobTarget) bool { return t.Name == name || t.ServerID.String() == name }
	if name == "" {
		chosen = func(t cronium.JobTarget) bool {
			return t.ExecutionID != nil && t.Status.Final() && t.Status != cronium.TargetSuccess
		}
	}
	i := slices.IndexFunc(page.Targets, chosen)
	if i < 0 && name == "" {
		i = slices.IndexFunc(page.Targets, func(t cronium.JobTarget) bool { return t.ExecutionID != nil })
	}
	if i < 0 {
		return nil
	}
	page.Shown = &page.Targets[i]
	var err error
	page.Attempts, err = h.Store.TargetExecutions(r.Context(), page.Job.WorkspaceID, page.Job.ID, page.Shown.ServerID)
	if n := len(page.Attempts); n > 0 {
		page.Execution = &page.Attempts[n-1]
		if attempt, err := strconv.Atoi(r.URL.Query().Get("attempt")); err == nil && attempt >= 1 && attempt <= n {
			page.Execution = &page.Attempts[attempt-1]
		}
	}
	return err
}

// groups gathers the hosts that ended in the same way and said the same, the
// largest group first, and the first of those that did not succeed.
func (h *Handlers) groups(r *http.Request, targets []cronium.JobTarget) (groups, failures []views.FleetGroup, err error) {
	at := map[string]int{}
	var of []*cronium.JobTarget // one of each group, whose output stands for all
	for i := range targets {
		t := &targets[i]
		if !t.Status.Final() || t.ExecutionID == nil {
			continue
		}
		key := groupKey(t)
		n, known := at[key]
		if !known {
			n = len(groups)
			at[key] = n
			groups = append(groups, views.FleetGroup{Key: key, Status: t.Status, Exit: t.ExitCode, Reason: t.Reason, Unknown: t.OutputHash == nil})
			of = append(of, t)
		}
		groups[n].Names = append(groups[n].Names, t.Name)
	}
	order := make([]int, len(groups))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(groups[b].Names) - len(groups[a].Names) })
	sorted := make([]views.FleetGroup, 0, len(groups))
	for rank, i := range order {
		g := groups[i]
		failed := g.Status != cronium.TargetSuccess
		if rank < groupsShown && !g.Unknown || failed && len(failures) < failuresShown {
			from := int64(0)
			if failed {
				from = -lastLines
			}
			if g.Lines, err = h.groupLines(r, of[i], from); err != nil {
				return nil, nil, err
			}
		}
		sorted = append(sorted, g)
		if failed && len(failures) < failuresShown {
			failures = append(failures, g)
		}
	}
	return sorted, failures, nil
}

// groupKey names a group in an address.
func groupKey(t *cronium.JobTarget) string {
	exit := "-"
	if t.ExitCode != nil {
		exit = strconv.Itoa(*t.ExitCode)
	}
	return fmt.Sprintf("%s.%s.%s", t.Status, exit, hex.EncodeToString(t.OutputHash[:min(len(t.OutputHash), 8)]))
}

func (h *Handlers) groupLines(r *http.Request, t *cronium.JobTarget, from int64) ([]string, error) {
	e, err := h.Store.Execution(r.Context(), t.WorkspaceID, *t.ExecutionID)
	if errors.Is(err, cronium.ErrNotFound) {
		return nil, nil // its week was dropped before that of the job
	}
	if err != nil || e.OutputBytes == 0 {
		return nil, err
	}
	return h.excerpt(r, e, from, groupLines)
}

// compareGroups puts the outputs of two groups side by side: those that the
// query names, else the two largest.
func (h *Handlers) compareGroups(r *http.Request, page *views.Fleet) error {
	var keys []string
	for _, g := range page.Groups {
		if !g.Unknown {
			keys = append(keys, g.Key)
		}
	}
	if len(keys) < 2 {
		return nil
	}
	chosen := func(name string, otherwise string) string {
		if key := r.URL.Query().Get(name); slices.Contains(keys, key) {
			return key
		}
		return otherwise
	}
	a, b := chosen("a", keys[0]), chosen("b", keys[1])
	left, cutLeft, err := h.comparedLines(r, page, a)
	if err != nil {
		return err
	}
	right, cutRight, err := h.comparedLines(r, page, b)
	if err != nil {
		return err
	}
	page.Compared = views.Compare(a, b, left, right, cutLeft || cutRight)
	return nil
}

func (h *Handlers) comparedLines(r *http.Request, page *views.Fleet, key string) (lines []string, cut bool, err error) {
	i := slices.IndexFunc(page.Targets, func(t cronium.JobTarget) bool { return t.ExecutionID != nil && t.Status.Final() && groupKey(&t) == key })
	e, err := h.Store.Execution(r.Context(), page.Job.WorkspaceID, *page.Targets[i].ExecutionID)
	if err != nil || e.OutputBytes == 0 {
		return nil, false, err
	}
	lines, err = h.excerpt(r, e, 0, views.MostCompared)
	return lines, e.OutputLines > views.MostCompared, err
}
