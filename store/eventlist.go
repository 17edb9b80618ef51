package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// RecentJob is one of the last jobs of an event, as its row shows it.
type RecentJob struct {
	ID         cronium.ID        `json:"id"`
	Status     cronium.JobStatus `json:"status"`
	Result     cronium.Result    `json:"result"`
	StartedAt  *time.Time        `json:"started_at"`
	FinishedAt *time.Time        `json:"finished_at"`
}

// EventRow is an event as lists show it.
type EventRow struct {
	cronium.Event
	Target cronium.TargetKind // of the current version
	Recent []RecentJob        // the last ten, the newest first; test runs do not count
}

// Last is the newest job, nil if there is none.
func (r *EventRow) Last() *RecentJob {
	if len(r.Recent) == 0 {
		return nil
	}
	return &r.Recent[0]
}

// EventSort is the order of a list of events.
type EventSort string

// The orders.
const (
	SortName   EventSort = "name"   // A to Z, upper and lower case as the same
	SortNewest EventSort = "newest" // by when they were made
)

// EventCursor is where the next page begins: after this event.
type EventCursor struct {
	Name string // used with SortName
	ID   cronium.ID
}

// EventFilter chooses events. Zero fields do not restrict, except that archived
// events are listed only when Status names them.
type EventFilter struct {
	Status []cronium.EventStatus
	Type   cronium.EventType
	Query  string    // part of the name, in any case
	Sort   EventSort // "" = SortName
	After  *EventCursor
	Limit  int // 1 to 200; 0 = 50
}

// Cursor is where the page after the row begins.
func (r *EventRow) Cursor() EventCursor { return EventCursor{Name: r.Name, ID: r.ID} }

// where builds the condition and the order; every value is a parameter.
func (f EventFilter) where(workspace cronium.ID) (where, order string, args []any) {
	conditions := []string{"e.workspace_id = $1"}
	args = []any{workspace}
	add := func(condition string, values ...any) {
		numbers := make([]any, len(values))
		for i, value := range values {
			args = append(args, value)
			numbers[i] = len(args)
		}
		conditions = append(conditions, fmt.Sprintf(condition, numbers...))
	}
	if len(f.Status) > 0 {
		add("e.status = ANY($%d)", f.Status)
	} else {
		add("e.status <> 'ARCHIVED'")
	}
	if f.Type != "" {
		add("e.type = $%d", f.Type)
	}
	if f.Query != "" {
		add("strpos(lower(e.name), lower($%d)) > 0", f.Query)
	}
	order = "lower(e.name), e.id"
	if f.Sort == SortNewest {
		order = "e.id DESC"
	}
	if f.After != nil && f.Sort == SortNewest {
		add("e.id < $%d", f.After.ID)
	} else if f.After != nil {
		add("(lower(e.name), e.id) > (lower($%d), $%d::uuid)", f.After.Name, f.After.ID)
	}
	return strings.Join(conditions, " AND "), order, args
}

// Events lists events with their last jobs, in one query.
func (s *Store) Events(ctx context.Context, workspace cronium.ID, filter EventFilter) ([]EventRow, error) {
	where, order, args := filter.where(workspace)
	args = append(args, pageLimit(filter.Limit))
	var events []EventRow
	err := s.inWorkspace(ctx, workspace, indexAlone, func(tx pgx.Tx) error {
		// The lateral join reads ten entries of the index jobs_by_event for each
		// event of the page, however many jobs there are.
		rows, err := tx.Query(ctx, fmt.Sprintf(`
			SELECT %s, coalesce(v.target, ''), coalesce(r.recent, '[]')
			FROM (SELECT * FROM events e WHERE %s ORDER BY %s LIMIT $%d) e
			LEFT JOIN event_versions v ON v.event_id = e.id AND v.number = e.version
			LEFT JOIN LATERAL (
				SELECT json_agg(json_build_object('id', j.id, 'status', j.status, 'result', j.result,
					'started_at', j.started_at, 'finished_at', j.finished_at) ORDER BY j.id DESC) AS recent
				FROM (SELECT id, status, result, started_at, finished_at FROM jobs
					WHERE event_id = e.id AND trigger <> 'TEST' ORDER BY id DESC LIMIT 10) j) r ON true
			ORDER BY %s`, eventColumns, where, order, len(args), order), args...)
		if err != nil {
			return err
		}
		events, err = pgx.CollectRows(rows, rowToEventRow)
		return err
	})
	return events, mapError(err, "list events")
}

func rowToEventRow(row pgx.CollectableRow) (EventRow, error) {
	var r EventRow
	return r, row.Scan(append(scanEvent(&r.Event), &r.Target, &r.Recent)...)
}
