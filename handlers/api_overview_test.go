package handlers_test

import (
	"context"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/executor/container"
	"cronium.dev/handlers"
)

// engineOfTwo is a container engine with two containers ready.
type engineOfTwo struct{}

// Status tells of them.
func (engineOfTwo) Status(context.Context) container.Status {
	return container.Status{Engine: "27.1", Image: "runtime:1", ImageReady: true, PoolSize: 8,
		Pool: []container.Idle{{Image: "runtime:1", Network: cronium.NetworkNone, MemoryMiB: 256, CPUs: 1, Count: 2, Target: 3}}}
}

func TestTheAPIHasWhatHomeAndSettingsShow(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, func(c *handlers.Config) { c.Containers = engineOfTwo{} })
	b := s.signedIn(t, "mira@example.com")
	good, bad := s.running(t), s.running(t)
	good.end(t)
	bad.finish(t, cronium.ExecutionFailure)

	type activity struct {
		Buckets []struct {
			Start                    time.Time
			Succeeded, Failed, Other int
		}
	}
	day := read[activity](t, b.call("GET", "/activity", nil), 200)
	if n := len(day.Buckets); n != 48 || day.Buckets[n-1].Start.Sub(day.Buckets[0].Start) != 47*30*time.Minute {
		t.Fatalf("%d half hours: %+v", n, day)
	}
	succeeded, failed := 0, 0
	for _, bucket := range day.Buckets {
		succeeded, failed = succeeded+bucket.Succeeded, failed+bucket.Failed
	}
	if succeeded != 1 || failed != 1 {
		t.Errorf("%d succeeded, %d failed", succeeded, failed)
	}
	if hour := read[activity](t, b.call("GET", "/activity?hours=1", nil), 200); len(hour.Buckets) != 2 {
		t.Errorf("%+v", hour)
	}
	b.call("GET", "/activity?hours=0", nil).want(t, 422, "must be a whole number between 1 and 168")
	b.call("GET", "/attention", nil).want(t, 200, bad.job.String(), `"failures":1`, `"last_result":"FAILURE"`)
	b.call("GET", "/instance", nil).want(t, 200, `"version":"test"`, "PostgreSQL", "Docker 27.1")
	b.call("GET", "/instance/engine", nil).want(t, 200, `"slots":1`, `"image":"runtime:1"`, `"ready":2`, `"wanted":3`, `"processes":[{`)
	if _, err := s.store.WorkerPool().Exec(t.Context(), `UPDATE jobs SET trigger = 'TEST' WHERE id = $1`, bad.job); err != nil {
		t.Fatal(err)
	}
	b.call("GET", "/attention", nil).want(t, 200, `"events":[]`)
	s.add(t, s.home, "uma@example.com", cronium.RoleUser)
	s.signedIn(t, "uma@example.com").call("GET", "/instance/engine", nil).want(t, 403)
}
