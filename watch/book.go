package watch

import (
	"sync"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// book holds what was seen and not stored yet.
type book struct {
	mu       sync.Mutex
	statuses map[cronium.ID]*entry
}

// entry is the newest status of a server. One that is OFFLINE is seen as that
// until it answers.
type entry struct {
	server  store.Watched
	status  cronium.ServerStatus
	changed bool               // since it was stored
	sum     store.ServerSample // of the samples that were not stored; its figures are sums
}

// note takes a status. Repeats of OFFLINE with the same words change nothing.
func (b *book) note(server store.Watched, s cronium.ServerStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.statuses[server.ID]
	if e == nil {
		e = &entry{server: server}
		b.statuses[server.ID] = e
	}
	if s.State == cronium.ServerOnline || e.status.State != s.State || e.status.Error != s.Error {
		e.status, e.changed = s, true
	}
	if s.State == cronium.ServerOnline {
		e.online(s)
	}
}

// online adds a sample to the sums.
func (e *entry) online(s cronium.ServerStatus) {
	e.sum.Samples++
	e.sum.Load += s.Load1
	e.sum.Memory += share(s.MemoryUsed, s.MemoryTotal)
	e.sum.Disk += share(s.DiskUsed, s.DiskTotal)
	e.sum.Latency += s.Latency
}

func share(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return min(float64(part)/float64(whole), 1)
}

// forget drops a server that is watched elsewhere now.
func (b *book) forget(id cronium.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.statuses, id)
}

// takeStatuses gives what has changed since the last time, and the workspaces
// in which.
func (b *book) takeStatuses() ([]cronium.ServerStatus, map[cronium.ID]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var statuses []cronium.ServerStatus
	workspaces := map[cronium.ID]bool{}
	for _, e := range b.statuses {
		if e.changed {
			statuses, workspaces[e.server.WorkspaceID] = append(statuses, e.status), true
			e.changed = false
		}
	}
	return statuses, workspaces
}

// takeSamples gives the averages since the last time, historyEvery ago. A server
// that is OFFLINE has missed the samples that it should have given.
func (b *book) takeSamples(now time.Time) []store.ServerSample {
	const expected = int(historyEvery / sampleEvery)
	b.mu.Lock()
	defer b.mu.Unlock()
	var samples []store.ServerSample
	for _, e := range b.statuses {
		up := e.sum.Samples
		all := up
		if e.status.State == cronium.ServerOffline {
			all = max(up, expected)
		}
		if all == 0 {
			continue
		}
		sample := store.ServerSample{ServerID: e.server.ID, WorkspaceID: e.server.WorkspaceID, At: now, Samples: all, Up: float64(up) / float64(all)}
		if n := float64(up); up > 0 {
			sample.Load, sample.Memory, sample.Disk = e.sum.Load/n, e.sum.Memory/n, e.sum.Disk/n
			sample.Latency = e.sum.Latency / time.Duration(up)
		}
		samples = append(samples, sample)
		e.sum = store.ServerSample{}
	}
	return samples
}
