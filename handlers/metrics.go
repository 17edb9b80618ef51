package handlers

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cronium.dev/store"
)

// metricsAge is how old counts of the database may be: however often they are
// asked for, they are counted this often at most.
const metricsAge = 5 * time.Second

// newMetrics gathers what this server measures: the process, what the job
// engine counts itself, the database, the containers made ahead.
func newMetrics(h *Handlers) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newDatabaseMetrics(h))
	if engine, ok := h.Engine.(prometheus.Collector); ok {
		registry.MustRegister(engine)
	}
	if h.Containers != nil {
		registry.MustRegister(newPoolMetrics(h))
	}
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 3})
}

func (h *Handlers) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	h.metrics.ServeHTTP(w, r)
	return nil
}

// databaseMetrics are counted when they are asked for.
type databaseMetrics struct {
	*Handlers
	up, jobs, queue, size, connections, slots, running, build *prometheus.Desc

	mu      sync.Mutex
	counted time.Time
	counts  store.Measures
	err     error
}

func newDatabaseMetrics(h *Handlers) *databaseMetrics {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &databaseMetrics{
		Handlers:    h,
		up:          describe("cronium_database_up", "1 if the database answered, 0 if not."),
		jobs:        describe("cronium_jobs", "Jobs that are not final, of all workspaces, by status.", "status"),
		queue:       describe("cronium_queue_depth", "Entries of the job queue, by queue and state.", "queue", "state"),
		size:        describe("cronium_database_bytes", "Size of the database."),
		connections: describe("cronium_database_connections", "Connections of this process, by pool and state.", "pool", "state"),
		slots:       describe("cronium_run_slots", "How many executions this process drives at once at most."),
		running:     describe("cronium_runs", "Executions that this process drives now."),
		build:       describe("cronium_build_info", "Always 1; the version is in the label.", "version"),
	}
}

// Describe and Collect make it a prometheus.Collector.
func (m *databaseMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.up, m.jobs, m.queue, m.size, m.connections, m.slots, m.running, m.build} {
		ch <- d
	}
}

// Collect counts.
func (m *databaseMetrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(m.build, 1, m.Version)
	if m.Engine != nil {
		status := m.Engine.Status()
		gauge(m.slots, float64(status.MaxRuns))
		gauge(m.running, float64(status.Running+status.RunningRemote))
	}
	for name, pool := range map[string]*pgxpool.Pool{"web": m.Store.Pool(), "worker": m.Store.WorkerPool()} {
		stat := pool.Stat()
		gauge(m.connections, float64(stat.AcquiredConns()), name, "used")
		gauge(m.connections, float64(stat.IdleConns()), name, "idle")
		gauge(m.connections, float64(stat.MaxConns()), name, "max")
	}
	counts, err := m.measure()
	if err != nil {
		gauge(m.up, 0)
		return
	}
	gauge(m.up, 1)
	for status, count := range counts.Jobs {
		gauge(m.jobs, float64(count), string(status))
	}
	for _, q := range counts.Queue {
		gauge(m.queue, float64(q.Count), q.Queue, q.State)
	}
	gauge(m.size, float64(counts.Bytes))
}

// measure counts, or gives what was counted a moment ago.
func (m *databaseMetrics) measure() (store.Measures, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.counted) < metricsAge {
		return m.counts, m.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyLimit)
	defer cancel()
	m.counts, m.err = m.Store.Measure(ctx)
	m.counted = time.Now()
	if m.err != nil {
		m.Log.Warn("count for metrics", "error", m.err)
	}
	return m.counts, m.err
}
