package jobs

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cronium.dev/cronium"
)

// metrics is what this process measures of its jobs.
type metrics struct {
	claimSeconds prometheus.Histogram
	startSeconds prometheus.Histogram
	executions   *prometheus.CounterVec
	outputBytes  prometheus.Counter
	adopted      prometheus.Counter
}

var latencies = []float64{.002, .005, .01, .015, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

func newMetrics() *metrics {
	return &metrics{
		claimSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "cronium_job_claim_seconds",
			Help: "Seconds from the acceptance of a job to its first claim.", Buckets: latencies}),
		startSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "cronium_job_start_seconds",
			Help: "Seconds from the acceptance of a job to the start of its first script.", Buckets: latencies}),
		executions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cronium_executions_total",
			Help: "Executions that ended, by status."}, []string{"status"}),
		outputBytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "cronium_output_bytes_total",
			Help: "Bytes of output stored."}),
		adopted: prometheus.NewCounter(prometheus.CounterOpts{Name: "cronium_executions_adopted_total",
			Help: "Executions taken over from processes that died or handed them over."}),
	}
}

func (m *metrics) claimed(wait time.Duration, attempt int) {
	if attempt == 1 {
		m.claimSeconds.Observe(wait.Seconds())
	}
}

func (m *metrics) started(wait time.Duration, attempt int) {
	if attempt == 1 {
		m.startSeconds.Observe(wait.Seconds())
	}
}

func (m *metrics) finished(status cronium.ExecutionStatus) {
	m.executions.WithLabelValues(string(status)).Inc()
}

func (m *metrics) stored(bytes int64) { m.outputBytes.Add(float64(bytes)) }

// Describe and Collect make the engine a prometheus.Collector.
func (e *Engine) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range e.metrics.all() {
		c.Describe(ch)
	}
}

// Collect gives the present values.
func (e *Engine) Collect(ch chan<- prometheus.Metric) {
	for _, c := range e.metrics.all() {
		c.Collect(ch)
	}
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.claimSeconds, m.startSeconds, m.executions, m.outputBytes, m.adopted}
}
