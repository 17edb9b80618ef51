package store

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

func validateVersion(content *cronium.Content, note string) cronium.Problems {
	problems := content.Validate()
	problems.Add(utf8.ValidString(note) && utf8.RuneCountInString(note) <= 500, "note", "must be text of at most 500 characters")
	return problems
}

func insertVersion(ctx context.Context, tx pgx.Tx, workspace, event cronium.ID, number int, content cronium.Content, note string, author Author) (*cronium.EventVersion, error) {
	v := cronium.EventVersion{EventID: event, Number: number, Content: content, Note: note, AuthorID: author.ID, AuthorName: author.Name}
	err := tx.QueryRow(ctx, `
		INSERT INTO event_versions (workspace_id, event_id, number, content, target, fleet, note, author_id, author_name)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING created_at`,
		workspace, event, number, content, content.Target, content.On, note, author.ID, author.Name).Scan(&v.CreatedAt)
	if err != nil {
		return nil, fmt.Errorf("insert version %d: %w", number, err)
	}
	return &v, nil
}

// SaveVersion makes content the event's new current version. base is the
// version that the author has seen; when another has been saved since, it fails
// with CodeConflict and says who saved what when, and nothing is changed.
func (s *Store) SaveVersion(ctx context.Context, workspace, event cronium.ID, base int, content cronium.Content, note string, author Author) (*cronium.EventVersion, error) {
	if err := validateVersion(&content, note).Err("The event"); err != nil {
		return nil, err
	}
	var version *cronium.EventVersion
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		var e cronium.Event
		err := lockedEvent(ctx, tx, workspace, event, &e)
		if err == nil {
			version, err = saveOnTop(ctx, tx, &e, base, content, note, author)
		}
		if err == nil {
			err = s.releaseEvent(ctx, tx, workspace, event)
		}
		return err
	})
	if err != nil {
		return nil, mapError(err, "save version")
	}
	return version, nil
}

// saveOnTop makes content the new current version of a locked event.
func saveOnTop(ctx context.Context, tx pgx.Tx, e *cronium.Event, base int, content cronium.Content, note string, author Author) (*cronium.EventVersion, error) {
	if err := mayChange(ctx, tx, e, base); err != nil {
		return nil, err
	}
	var before cronium.EventVersion
	if len(content.Then) > 0 {
		if err := readVersion(ctx, tx, e.WorkspaceID, e.ID, e.Version, &before); err != nil {
			return nil, err
		}
	}
	version, err := insertVersion(ctx, tx, e.WorkspaceID, e.ID, e.Version+1, content, note, author)
	if err != nil {
		return nil, err
	}
	e.Version = version.Number
	err = tx.QueryRow(ctx, `UPDATE events SET name = $3, description = $4, version = $5, concurrency = $6, rate_count = $7, rate_seconds = $8, updated_at = now()
		WHERE workspace_id = $1 AND id = $2 RETURNING updated_at`,
		e.WorkspaceID, e.ID, e.Name, e.Description, e.Version, content.Concurrency, content.Rate.Count, content.Rate.Seconds).Scan(&e.UpdatedAt)
	if err != nil {
		return nil, nameTaken(err, e.Name)
	}
	return version, saveThen(ctx, tx, e, &content, before.Content.Then)
}

// mayChange refuses a change of an archived event, and one on top of a version
// that is not the current one.
func mayChange(ctx context.Context, tx pgx.Tx, e *cronium.Event, base int) error {
	if e.Status == cronium.EventArchived {
		return cronium.Errorf(cronium.CodeConflict, "The event is archived. Bring it back before you change it.")
	}
	if e.Version != base {
		return savedSince(ctx, tx, e, base)
	}
	return nil
}

// Replacement is all that can be changed of an event at once. What is nil stays
// as it is.
type Replacement struct {
	Name        *string
	Description *string
	Content     *cronium.Content // the whole of what the event runs; nil makes no version
	Note        string           // of the version
	Author      Author
}

// ReplaceEvent changes name, description and content together, a content as a
// new version on top of base, like SaveVersion. base must be the current version
// also where no content is given.
func (s *Store) ReplaceEvent(ctx context.Context, workspace, id cronium.ID, base int, r Replacement) (*cronium.Event, error) {
	var e cronium.Event
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		if err := lockedEvent(ctx, tx, workspace, id, &e); err != nil {
			return err
		}
		if err := r.apply(ctx, tx, &e, base); err != nil {
			return err
		}
		return s.releaseEvent(ctx, tx, workspace, id)
	})
	if err != nil {
		return nil, mapError(err, "replace event")
	}
	return &e, nil
}

// apply changes a locked event.
func (r Replacement) apply(ctx context.Context, tx pgx.Tx, e *cronium.Event, base int) error {
	if r.Name != nil {
		e.Name = *r.Name
	}
	if r.Description != nil {
		e.Description = *r.Description
	}
	problems := cronium.ValidateEvent(e.Name, e.Description, e.Type)
	if r.Content != nil {
		problems = append(problems, validateVersion(r.Content, r.Note)...)
	}
	if err := problems.Err("The event"); err != nil {
		return err
	}
	if r.Content != nil {
		_, err := saveOnTop(ctx, tx, e, base, *r.Content, r.Note, r.Author)
		return err
	}
	if err := mayChange(ctx, tx, e, base); err != nil {
		return err
	}
	err := tx.QueryRow(ctx, `UPDATE events SET name = $3, description = $4, updated_at = now()
		WHERE workspace_id = $1 AND id = $2 RETURNING updated_at`, e.WorkspaceID, e.ID, e.Name, e.Description).Scan(&e.UpdatedAt)
	return nameTaken(err, e.Name)
}

// savedSince is the conflict of an author who has not seen the newest version.
func savedSince(ctx context.Context, tx pgx.Tx, e *cronium.Event, base int) error {
	if base > e.Version {
		return cronium.Errorf(cronium.CodeConflict, "There is no version %d; the current one is %d.", base, e.Version)
	}
	var name, note string
	var at time.Time
	err := tx.QueryRow(ctx, `SELECT author_name, note, created_at FROM event_versions WHERE workspace_id = $1 AND event_id = $2 AND number = $3`,
		e.WorkspaceID, e.ID, e.Version).Scan(&name, &note, &at)
	if err != nil {
		return err
	}
	if note != "" {
		note = fmt.Sprintf(" (%q)", note)
	}
	return cronium.Errorf(cronium.CodeConflict,
		"%s saved version %d%s at %s, after version %d that you began with. Nothing of yours was saved: compare the two, then save again on top of version %d.",
		name, e.Version, note, when(at), base, e.Version)
}

// EventVersion finds one version with its content; a draft too.
func (s *Store) EventVersion(ctx context.Context, workspace, event cronium.ID, number int) (*cronium.EventVersion, error) {
	var v cronium.EventVersion
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return readVersion(ctx, tx, workspace, event, number, &v)
	})
	if err != nil {
		return nil, mapError(err, "find version")
	}
	return &v, nil
}

func readVersion(ctx context.Context, tx pgx.Tx, workspace, event cronium.ID, number int, v *cronium.EventVersion) error {
	return tx.QueryRow(ctx, `
		SELECT event_id, number, content, note, author_id, author_name, created_at
		FROM event_versions WHERE workspace_id = $1 AND event_id = $2 AND number = $3`, workspace, event, number).
		Scan(&v.EventID, &v.Number, &v.Content, &v.Note, &v.AuthorID, &v.AuthorName, &v.CreatedAt)
}

// VersionPage chooses versions: those older than Before, at most Limit.
type VersionPage struct {
	Before int // 0 = from the newest
	Limit  int // 1 to 200; 0 = 50
}

// EventVersions lists the history, the newest first, without the contents. An
// unknown event fails with ErrNotFound.
func (s *Store) EventVersions(ctx context.Context, workspace, event cronium.ID, page VersionPage) ([]cronium.EventVersion, error) {
	var versions []cronium.EventVersion
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		var current int
		if err := tx.QueryRow(ctx, `SELECT version FROM events WHERE workspace_id = $1 AND id = $2`, workspace, event).Scan(&current); err != nil {
			return err
		}
		if page.Before <= 0 {
			page.Before = current + 1
		}
		rows, err := tx.Query(ctx, `
			SELECT event_id, number, note, author_id, author_name, created_at FROM event_versions
			WHERE workspace_id = $1 AND event_id = $2 AND number > 0 AND number < $3 ORDER BY number DESC LIMIT $4`,
			workspace, event, page.Before, pageLimit(page.Limit))
		if err != nil {
			return err
		}
		versions, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (cronium.EventVersion, error) {
			var v cronium.EventVersion
			return v, row.Scan(&v.EventID, &v.Number, &v.Note, &v.AuthorID, &v.AuthorName, &v.CreatedAt)
		})
		return err
	})
	return versions, mapError(err, "list versions")
}

// pageLimit is how many rows a page has: 1 to 200, 50 where nothing is asked.
func pageLimit(asked int) int {
	if asked <= 0 {
		return 50
	}
	return min(asked, 200)
}

// RestoreVersion makes the content of an earlier version the current one, as a
// new version on top of base.
func (s *Store) RestoreVersion(ctx context.Context, workspace, event cronium.ID, number, base int, author Author) (*cronium.EventVersion, error) {
	old, err := s.EventVersion(ctx, workspace, event, number)
	if err != nil {
		return nil, err
	}
	if number < 1 {
		return nil, cronium.ErrNotFound
	}
	return s.SaveVersion(ctx, workspace, event, base, old.Content, fmt.Sprintf("Restored version %d", number), author)
}

// DuplicateEvent makes a new event, a DRAFT, with the current content of
// another. Without a name it is called "NAME copy", with a number where that is
// taken.
func (s *Store) DuplicateEvent(ctx context.Context, workspace, event cronium.ID, name string, author Author) (*cronium.Event, error) {
	source, err := s.Event(ctx, workspace, event)
	if err != nil {
		return nil, err
	}
	version, err := s.EventVersion(ctx, workspace, event, source.Version)
	if err != nil {
		return nil, err
	}
	note := fmt.Sprintf("Copied from version %d of %s", source.Version, source.Name)
	if name != "" {
		e := &cronium.Event{Name: name, Description: source.Description, Type: source.Type}
		return e, s.CreateEvent(ctx, workspace, e, version.Content, note, author)
	}
	for i := 1; ; i++ {
		e := &cronium.Event{Name: copyName(source.Name, i), Description: source.Description, Type: source.Type}
		err := s.CreateEvent(ctx, workspace, e, version.Content, note, author)
		if err == nil || cronium.CodeOf(err) != cronium.CodeConflict || i == 100 {
			return e, err
		}
	}
}

// copyName names the nth copy of an event within the bound of names.
func copyName(name string, n int) string {
	suffix := " copy"
	if n > 1 {
		suffix = fmt.Sprintf(" copy %d", n)
	}
	runes := []rune(name)
	return string(runes[:min(len(runes), 120-len(suffix))]) + suffix
}
