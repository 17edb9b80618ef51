package cronium

import "slices"

// eventSteps is which status may follow which. Nothing goes back to DRAFT: it
// says that an event has never been in use.
var eventSteps = map[EventStatus][]EventStatus{
	EventDraft:    {EventActive, EventPaused, EventArchived},
	EventActive:   {EventPaused, EventArchived},
	EventPaused:   {EventActive, EventArchived},
	EventArchived: {EventPaused, EventActive},
}

// Valid tells whether s is one of the four.
func (s EventStatus) Valid() bool { return slices.Contains(EventStatuses, s) }

// Next lists the statuses that may follow s.
func (s EventStatus) Next() []EventStatus { return slices.Clone(eventSteps[s]) }

// CanBecome tells whether an event may go from s to next. Staying is allowed.
func (s EventStatus) CanBecome(next EventStatus) bool {
	return s == next && s.Valid() || slices.Contains(eventSteps[s], next)
}
