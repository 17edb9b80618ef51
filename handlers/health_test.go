package handlers_test

import (
	"context"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/executor/container"
	"cronium.dev/handlers"
)

func TestHealthTellsTheProcessFromTheDatabase(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.browser(t)
	b.get("/readyz").want(t, 200, `"database":"ready"`)
	s.store.Close()
	b.get("/readyz").want(t, 503, "does not answer")
	b.get("/healthz").want(t, 200, "alive")
}

func TestMetricsAreForAMetricsToken(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, func(c *handlers.Config) {
		c.Containers = idle{Error: "it does not answer", PoolSize: 8, Created: 5, Pool: []container.Idle{
			{Image: "i", Network: "none", MemoryMiB: 64, Count: 2, Target: 3}, {Image: "i", Network: "none", MemoryMiB: 128, Count: 1, Target: 1}}}
	})
	s.running(t)
	b := s.program(t, cronium.ScopeWrite)
	e := read[struct{ ID string }](t, b.call("POST", "/events", object{"name": "E", "type": "BASH", "status": "ACTIVE"}), 201)
	b.call("POST", "/events/"+e.ID+"/run", nil).want(t, 202)
	b.get("/metrics").want(t, 403, "token of the scope metrics")
	b = s.program(t, cronium.ScopeMetrics)
	b.get("/metrics").want(t, 200, `cronium_jobs{status="QUEUED"} 1`, `cronium_jobs{status="CLAIMED"} 1`, "cronium_job_start_seconds",
		`cronium_queue_depth{queue="container",state="available"} 1`, "cronium_database_up 1", "cronium_database_bytes", "cronium_output_bytes_total",
		`cronium_build_info{version="test"} 1`, "cronium_run_slots 1", `cronium_database_connections{pool="web",state="max"}`, "go_goroutines",
		"cronium_engine_up 0", `cronium_pool_ready{image="i",network="none"} 3`, `cronium_pool_wanted{image="i",network="none"} 4`, "cronium_pool_size 8",
		"cronium_containers_created_total 5")
	s.browser(t).get("/metrics").want(t, 401)
}

// idle is a container engine in one state.
type idle container.Status

// Status tells the state.
func (i idle) Status(context.Context) container.Status { return container.Status(i) }
