package schedule

import (
	"sync"
	"time"

	"cronium.dev/cronium"
)

// maxPlans is how many plans are kept; then all are forgotten.
const maxPlans = 20_000

// Plans keeps the plans of schedules that were asked for lately, because reading
// a zone takes longer than all else. The zero Plans is ready. It may be used
// concurrently.
type Plans struct {
	mu    sync.Mutex
	plans map[Spec]*Plan
	zones map[string]*time.Location
}

// Of gives the plan of a schedule. Errors are *Problem.
func (p *Plans) Of(s *cronium.Schedule) (*Plan, error) {
	spec := specOf(s)
	if s.Kind == cronium.ScheduleCron && !everyAlias(s.Expression) {
		spec.Anchor = time.Time{} // nothing is counted from it, so many schedules share a plan
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if plan := p.plans[spec]; plan != nil {
		return plan, nil
	}
	if len(p.plans) >= maxPlans || p.plans == nil {
		p.plans, p.zones = map[Spec]*Plan{}, map[string]*time.Location{}
	}
	plan, err := parse(spec, p.zone)
	if err != nil {
		return nil, err
	}
	p.plans[spec] = plan
	return plan, nil
}

func (p *Plans) zone(name string) (*time.Location, error) {
	if zone := p.zones[name]; zone != nil {
		return zone, nil
	}
	zone, err := Zone(name)
	if err == nil {
		p.zones[name] = zone
	}
	return zone, err
}
