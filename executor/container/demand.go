package container

import (
	"math"
	"time"
)

// How the pool follows the demand for one shape.
const (
	burstWindow = 3 * time.Second  // about what refilling takes: runs that come together within it need as many containers
	demandHalf  = 2 * time.Minute  // after which a past burst counts half
	keepOne     = 15 * time.Minute // after the last use, one container is kept for so long
)

// demand is how much one shape is asked for. The zero value was never asked.
type demand struct {
	recent []time.Time // within burstWindow before the last
	peak   float64     // of simultaneous takes, as of last
	last   time.Time
}

// note counts one take.
func (d *demand) note(now time.Time) {
	d.peak = d.decayed(now)
	for len(d.recent) > 0 && now.Sub(d.recent[0]) > burstWindow {
		d.recent = d.recent[1:]
	}
	d.recent = append(d.recent, now)
	d.peak = max(d.peak, float64(len(d.recent)))
	d.last = now
}

func (d *demand) decayed(now time.Time) float64 {
	return d.peak * math.Exp2(-now.Sub(d.last).Seconds()/demandHalf.Seconds())
}

// wanted is how many idle containers the demand is worth now.
func (d *demand) wanted(now time.Time) int {
	if d.last.IsZero() || now.Sub(d.last) > keepOne {
		return 0
	}
	return max(1, int(math.Round(d.decayed(now))))
}
