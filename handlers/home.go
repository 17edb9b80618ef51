package handlers

import (
	"context"
	"net/http"
	"slices"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

const (
	homeBucket  = 30 * time.Minute
	homeBuckets = 48 // 24 hours
	homeJobs    = 8
	homeServers = 5
)

func (h *Handlers) homeRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Pattern: "/", Permission: cronium.PermissionRead, Kind: KindPage, Handle: h.homePage},
		{Method: http.MethodGet, Pattern: "/palette", Permission: cronium.PermissionRead, Kind: KindPage, Handle: h.palettePage},
	}
}

// homePage is Home, or its live part with ?part=live, or the welcome while
// there is nothing yet.
func (h *Handlers) homePage(w http.ResponseWriter, r *http.Request) error {
	ctx, workspace := r.Context(), principal(r).WorkspaceID
	jobs, err := h.Store.Jobs(ctx, workspace, store.JobFilter{Limit: homeJobs})
	if err != nil {
		return err
	}
	part := r.URL.Query().Get("part") == "live"
	frame, err := h.counted(r, "Home", layout.NavHome)
	if err != nil {
		return err
	}
	if frame.Events == 0 && len(jobs) == 0 && !part {
		return h.renderWelcome(w, r, http.StatusOK, views.Welcome{Type: cronium.EventPython})
	}
	frame.Live = "/live?topics=jobs,servers"
	page := views.Home{Frame: frame, Jobs: jobRowsOf(jobs), Now: time.Now()}
	if page.Activity, err = h.activity(ctx, workspace, page.Now, homeBuckets); err != nil {
		return err
	}
	attention, err := h.Store.Attention(ctx, workspace)
	if err != nil {
		return err
	}
	for _, a := range attention {
		page.Attention = append(page.Attention, views.AttentionItem(a))
	}
	if err := h.troubledServers(ctx, workspace, &page); err != nil {
		return err
	}
	if part {
		return h.render(w, r, http.StatusOK, page.Changes())
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

// troubledServers are those that need attention too.
func (h *Handlers) troubledServers(ctx context.Context, workspace cronium.ID, page *views.Home) error {
	var err error
	if page.Troubled, err = h.Store.TroubledServers(ctx, workspace); err != nil || page.Troubled == 0 {
		return err
	}
	rows, err := h.Store.Servers(ctx, workspace, store.ServerFilter{Troubled: true, Limit: homeServers})
	for i := range rows {
		page.Servers = append(page.Servers, serverRowOf(&rows[i]))
	}
	return err
}

// activity is the jobs of the last while, by half an hour, with the half hours
// in which nothing happened; the last one is not over.
func (h *Handlers) activity(ctx context.Context, workspace cronium.ID, now time.Time, count int) ([]views.ActivityBucket, error) {
	first := now.UTC().Truncate(homeBucket).Add(-time.Duration(count-1) * homeBucket)
	counted, err := h.Store.Activity(ctx, workspace, first, homeBucket)
	if err != nil {
		return nil, err
	}
	buckets := make([]views.ActivityBucket, count)
	for i := range buckets {
		start := first.Add(time.Duration(i) * homeBucket)
		buckets[i].Start = start
		at := slices.IndexFunc(counted, func(c store.ActivityBucket) bool { return c.Start.Equal(start) })
		if at >= 0 {
			c := counted[at]
			buckets[i] = views.ActivityBucket{Start: start, Succeeded: c.Succeeded, Failed: c.Failed, Other: c.Other}
		}
	}
	return buckets, nil
}

// renderWelcome shows the page for an instance in which nothing runs yet.
func (h *Handlers) renderWelcome(w http.ResponseWriter, r *http.Request, status int, page views.Welcome) error {
	var err error
	if page.Frame, err = h.counted(r, "Home", layout.NavHome); err != nil {
		return err
	}
	page.Modules, page.Zone = []string{"js/starter.js"}, viewerZone(r).String()
	if page.Script == "" {
		page.Script = cronium.NewContent(page.Type).Files[0].Content
	}
	database, err := h.Store.Version(r.Context())
	if err != nil {
		return err
	}
	page.Database = views.DatabaseState{OK: true, Name: database}
	var engine views.SettingsEngine
	h.describeContainers(r, &engine)
	page.Engine = engine.Engine
	if engine.ImageReady {
		page.Image = engine.Image
	}
	for _, warm := range engine.Warm {
		page.Warm += warm.Ready
	}
	return h.render(w, r, status, page.Page())
}
