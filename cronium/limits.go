package cronium

// QueueMode is what a workspace's queue does.
type QueueMode string

// The modes. A PAUSED queue accepts jobs and starts none; a DRAINING one accepts
// none and runs what waits.
const (
	QueueOpen     QueueMode = "OPEN"
	QueuePaused   QueueMode = "PAUSED"
	QueueDraining QueueMode = "DRAINING"
)

// WorkspaceLimits bound what a workspace may take of the instance. The zero
// value bounds nothing.
type WorkspaceLimits struct {
	Running int // jobs at once, 0 to 100,000; 0 = no limit
	Queued  int // jobs that wait, 0 to 10,000,000; 0 = no limit
	Rate    Rate
}

// Validate checks limits before they are stored.
func (l WorkspaceLimits) Validate() Problems {
	var p Problems
	p.Add(l.Running >= 0 && l.Running <= 100_000, "running", "must be between 0 (no limit) and 100,000")
	p.Add(l.Queued >= 0 && l.Queued <= 10_000_000, "queued", "must be between 0 (no limit) and 10,000,000")
	return append(p, l.Rate.Validate("rate")...)
}
