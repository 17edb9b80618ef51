package handlers

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cronium.dev/executor/container"
)

// poolMetrics are those of the container engine and the containers made ahead.
type poolMetrics struct {
	*Handlers
	up, ready, wanted, size, made, removed *prometheus.Desc

	mu     sync.Mutex
	asked  time.Time
	status container.Status
}

func newPoolMetrics(h *Handlers) *poolMetrics {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &poolMetrics{
		Handlers: h,
		up:       describe("cronium_engine_up", "1 if the container engine answered, 0 if not."),
		ready:    describe("cronium_pool_ready", "Containers made ahead that wait for a run, by image and network.", "image", "network"),
		wanted:   describe("cronium_pool_wanted", "Containers that the recent use is worth, by image and network.", "image", "network"),
		size:     describe("cronium_pool_size", "Containers that may wait in all."),
		made:     describe("cronium_containers_created_total", "Containers made by this process."),
		removed:  describe("cronium_containers_destroyed_total", "Containers made by this process and removed."),
	}
}

// Describe and Collect make it a prometheus.Collector.
func (m *poolMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.up, m.ready, m.wanted, m.size, m.made, m.removed} {
		ch <- d
	}
}

// Collect gives what the engine said a moment ago at most.
func (m *poolMetrics) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	status := m.ask()
	up := 0.0
	if status.Error == "" {
		up = 1
	}
	send(m.up, prometheus.GaugeValue, up)
	send(m.size, prometheus.GaugeValue, float64(status.PoolSize))
	send(m.made, prometheus.CounterValue, float64(status.Created))
	send(m.removed, prometheus.CounterValue, float64(status.Destroyed))
	// Kinds that differ in limits alone are one here.
	type kind struct{ image, network string }
	ready, wanted := map[kind]int{}, map[kind]int{}
	for _, idle := range status.Pool {
		k := kind{idle.Image, string(idle.Network)}
		ready[k] += idle.Count
		wanted[k] += idle.Target
	}
	for k := range ready {
		send(m.ready, prometheus.GaugeValue, float64(ready[k]), k.image, k.network)
		send(m.wanted, prometheus.GaugeValue, float64(wanted[k]), k.image, k.network)
	}
}

func (m *poolMetrics) ask() container.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.asked) >= metricsAge {
		m.status = m.Containers.Status(context.Background())
		m.asked = time.Now()
	}
	return m.status
}
