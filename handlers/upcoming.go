package handlers

import (
	"container/heap"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/schedule"
	"cronium.dev/store"
)

// scheduleWords says when a schedule fires. One that cannot be read any more
// says why.
func (h *Handlers) scheduleWords(s *cronium.Schedule) string {
	plan, err := h.plans.Of(s)
	if err != nil {
		return err.Error()
	}
	return plan.Words()
}

// upcomingInstant is an instant that will come.
type upcomingInstant struct {
	At  time.Time
	Row *store.ScheduleRow
}

// course follows the instants of one schedule.
type course struct {
	row  *store.ScheduleRow
	plan *schedule.Plan
	at   time.Time
	left int // runs; below zero: no limit
}

// courseOf is the course of a schedule's instants from now on; nil where nothing
// will run.
func (h *Handlers) courseOf(row *store.ScheduleRow, now time.Time) *course {
	if row.Paused || row.EventStatus != cronium.EventActive || row.NextAt == nil {
		return nil
	}
	plan, err := h.plans.Of(&row.Schedule)
	if err != nil {
		return nil
	}
	c := &course{row: row, plan: plan, at: *row.NextAt, left: -1}
	if row.MaxRuns > 0 {
		c.left = row.MaxRuns - row.Runs
	}
	if c.at.Before(now) { // it is being fired
		next, ok := plan.Next(now)
		if !ok {
			return nil
		}
		c.at = next
	}
	if c.left == 0 {
		return nil
	}
	return c
}

// next goes to the next instant; false where there is none.
func (c *course) next() bool {
	if c.left > 0 {
		if c.left--; c.left == 0 {
			return false
		}
	}
	at, ok := c.plan.Next(c.at)
	c.at = at
	return ok
}

// courses are sorted by their next instants: a heap.Interface.
type courses []*course

func (c courses) Len() int           { return len(c) }
func (c courses) Less(i, j int) bool { return c[i].at.Before(c[j].at) }
func (c courses) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *courses) Push(x any)        { *c = append(*c, x.(*course)) }
func (c *courses) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

// upcoming lists the instants that come before a time, the earliest first.
func (h *Handlers) upcoming(rows []store.ScheduleRow, now, before time.Time, limit int) []upcomingInstant {
	var all courses
	for i := range rows {
		if c := h.courseOf(&rows[i], now); c != nil && c.at.Before(before) {
			all = append(all, c)
		}
	}
	heap.Init(&all)
	var list []upcomingInstant
	for len(all) > 0 && len(list) < limit {
		c := all[0]
		list = append(list, upcomingInstant{c.at, c.row})
		if c.next() && c.at.Before(before) {
			heap.Fix(&all, 0)
		} else {
			heap.Pop(&all)
		}
	}
	return list
}
