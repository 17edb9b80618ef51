package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// VariableRow is a variable as lists show it: of a long value the beginning.
type VariableRow struct {
	cronium.WorkspaceVariable
	Preview string // the first characters of the JSON; "" for a secret
	Events  int    // that were granted it
}

// VariableSort is the order of a list of variables.
type VariableSort string

// The orders.
const (
	SortKey     VariableSort = "key"     // by name, then by environment
	SortChanged VariableSort = "changed" // the last changed one first
)

// VariableCursor is where the next page begins: after this variable.
type VariableCursor struct {
	Key         string
	Environment string
	UpdatedAt   time.Time
	ID          cronium.ID
}

// Cursor is where the page after the row begins.
func (r *VariableRow) Cursor() VariableCursor {
	return VariableCursor{r.Key, r.Environment, r.UpdatedAt, r.ID}
}

// VariableFilter chooses variables. Zero fields do not restrict.
type VariableFilter struct {
	Query       string // part of the name or description, in any case
	Environment *string
	Secret      *bool
	Type        cronium.VariableType
	Event       cronium.ID // those that it may use
	Sort        VariableSort
	After       *VariableCursor
	Limit       int // 1 to 200; 0 = 50
}

func (f VariableFilter) where(workspace cronium.ID) (where, order string, args []any) {
	conditions := []string{"v.workspace_id = $1"}
	args = []any{workspace}
	add := func(condition string, values ...any) {
		numbers := make([]any, len(values))
		for i, value := range values {
			args = append(args, value)
			numbers[i] = len(args)
		}
		conditions = append(conditions, fmt.Sprintf(condition, numbers...))
	}
	if f.Query != "" {
		add("(strpos(lower(v.key), lower($%d)) > 0 OR strpos(lower(v.description), lower($%[1]d)) > 0)", f.Query)
	}
	if f.Environment != nil {
		add("v.environment = $%d", *f.Environment)
	}
	if f.Secret != nil {
		add("v.secret = $%d", *f.Secret)
	}
	if f.Type != "" {
		add("v.type = $%d", f.Type)
	}
	if f.Event != (cronium.ID{}) {
		add("(v.all_events OR EXISTS (SELECT FROM variable_grants g WHERE g.variable_id = v.id AND g.event_id = $%d))", f.Event)
	}
	order = "v.key, v.environment"
	if f.Sort == SortChanged {
		order = "v.updated_at DESC, v.id DESC"
	}
	if f.After != nil && f.Sort == SortChanged {
		add("(v.updated_at, v.id) < ($%d, $%d::uuid)", f.After.UpdatedAt, f.After.ID)
	} else if f.After != nil {
		add("(v.key, v.environment) > ($%d, $%d)", f.After.Key, f.After.Environment)
	}
	return strings.Join(conditions, " AND "), order, args
}

// Variables lists variables. Values longer than 200 characters are there as a
// Preview alone.
func (s *Store) Variables(ctx context.Context, workspace cronium.ID, filter VariableFilter) ([]VariableRow, error) {
	where, order, args := filter.where(workspace)
	args = append(args, pageLimit(filter.Limit))
	var list []VariableRow
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, fmt.Sprintf(`SELECT v.id, v.workspace_id, v.key, v.environment, v.type, v.secret, v.description, v.size, v.all_events, v.version,
			v.created_at, v.updated_at, v.updated_by, v.job_id, coalesce(left(v.value::text, 200), ''),
			(SELECT count(*)::int FROM variable_grants g WHERE g.variable_id = v.id)
			FROM variables v WHERE %s ORDER BY %s LIMIT $%d`, where, order, len(args)), args...)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (VariableRow, error) {
			var r VariableRow
			err := row.Scan(&r.ID, &r.WorkspaceID, &r.Key, &r.Environment, &r.Type, &r.Secret, &r.Description, &r.Size, &r.AllEvents, &r.Version,
				&r.CreatedAt, &r.UpdatedAt, &r.UpdatedBy, &r.JobID, &r.Preview, &r.Events)
			if !r.Secret && r.Size <= 200 && json.Valid([]byte(r.Preview)) {
				r.Value = json.RawMessage(r.Preview)
			}
			return r, err
		})
		return err
	})
	return list, mapError(err, "list variables")
}

// VariableEnvironments are the environments that variables name, by name.
func (s *Store) VariableEnvironments(ctx context.Context, workspace cronium.ID) ([]string, error) {
	var names []string
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT DISTINCT environment FROM variables WHERE workspace_id = $1 AND environment <> '' ORDER BY environment`, workspace)
		if err != nil {
			return err
		}
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return names, mapError(err, "list environments")
}

// VariableHistory is the latest changes of a variable, the newest first.
func (s *Store) VariableHistory(ctx context.Context, workspace, id cronium.ID) ([]cronium.VariableChange, error) {
	var changes []cronium.VariableChange
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT version, what, type, value, size, at, by_name, job_id FROM variable_changes
			WHERE workspace_id = $1 AND variable_id = $2 ORDER BY version DESC`, workspace, id)
		if err != nil {
			return err
		}
		changes, err = pgx.CollectRows(rows, pgx.RowToStructByPos[cronium.VariableChange])
		return err
	})
	return changes, mapError(err, "read the history of a variable")
}

// GrantedEvent is an event that was granted a variable.
type GrantedEvent struct {
	ID     cronium.ID
	Name   string
	Status cronium.EventStatus
}

// VariableGrants are the events that were granted a variable, by name.
func (s *Store) VariableGrants(ctx context.Context, workspace, id cronium.ID) ([]GrantedEvent, error) {
	var events []GrantedEvent
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT e.id, e.name, e.status FROM variable_grants g JOIN events e ON e.id = g.event_id
			WHERE g.workspace_id = $1 AND g.variable_id = $2 ORDER BY lower(e.name)`, workspace, id)
		if err != nil {
			return err
		}
		events, err = pgx.CollectRows(rows, pgx.RowToStructByPos[GrantedEvent])
		return err
	})
	return events, mapError(err, "list who may use a variable")
}

// EventNames are the events that are not archived, by name, at most limit.
func (s *Store) EventNames(ctx context.Context, workspace cronium.ID, limit int) ([]GrantedEvent, error) {
	var events []GrantedEvent
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id, name, status FROM events WHERE workspace_id = $1 AND status <> 'ARCHIVED' ORDER BY lower(name), id LIMIT $2`, workspace, limit)
		if err != nil {
			return err
		}
		events, err = pgx.CollectRows(rows, pgx.RowToStructByPos[GrantedEvent])
		return err
	})
	return events, mapError(err, "list events")
}

// VariableUse is an event whose current version names a variable.
type VariableUse struct {
	EventID cronium.ID
	Name    string
	Files   []string // in which it stands, with the line where it does first: "script.py:12"
}

// maxUses bounds where a variable is found to be used.
const maxUses = 500

// VariableUses finds a key, as a whole word, in the files of the current versions
// of events that are not archived. It reads them all, so it is for when it is
// asked.
func (s *Store) VariableUses(ctx context.Context, workspace cronium.ID, key string) ([]VariableUse, error) {
	var uses []VariableUse
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT e.id, e.name, v.content FROM events e JOIN event_versions v ON v.event_id = e.id AND v.number = e.version
			WHERE e.workspace_id = $1 AND e.status <> 'ARCHIVED' AND strpos(v.content::text, $2) > 0 ORDER BY lower(e.name) LIMIT $3`, workspace, key, maxUses)
		if err != nil {
			return err
		}
		var use VariableUse
		var content []byte
		_, err = pgx.ForEachRow(rows, []any{&use.EventID, &use.Name, &content}, func() error {
			var c cronium.Content
			if json.Unmarshal(content, &c) != nil {
				return nil // of a later release
			}
			if use.Files = filesWith(&c, key); len(use.Files) > 0 {
				uses = append(uses, use)
			}
			return nil
		})
		return err
	})
	return uses, mapError(err, "look for a variable in scripts")
}

func filesWith(c *cronium.Content, key string) (found []string) {
	for _, f := range c.Files {
		if at := wordAt(f.Content, key); at >= 0 {
			found = append(found, fmt.Sprintf("%s:%d", f.Name, 1+strings.Count(f.Content[:at], "\n")))
		}
	}
	if slices.ContainsFunc(c.Environment, func(v cronium.Variable) bool { return wordAt(v.Value, key) >= 0 }) {
		found = append(found, "environment")
	}
	return found
}

// wordAt is where a word stands in a text, not as a part of a longer one; -1: it
// does not.
func wordAt(text, word string) int {
	letter := func(i int) bool {
		if i < 0 || i >= len(text) {
			return false
		}
		c := text[i]
		return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
	}
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return -1
		}
		if i += from; !letter(i-1) && !letter(i+len(word)) {
			return i
		}
		from = i + 1
	}
}
