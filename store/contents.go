package store

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// VersionKey names a version of an event.
type VersionKey struct {
	Workspace, Event cronium.ID
	Version          int
}

// Contents finds what several versions run. Those that are not there, or cannot
// be read, are left out.
func (s *Store) Contents(ctx context.Context, keys []VersionKey) (map[VersionKey]*cronium.Content, error) {
	events, versions := make([]cronium.ID, len(keys)), make([]int32, len(keys))
	for i, k := range keys {
		events[i], versions[i] = k.Event, int32(k.Version)
	}
	rows, err := s.worker.Query(ctx, `
		SELECT v.workspace_id, v.event_id, v.number, v.content FROM unnest($1::uuid[], $2::int[]) AS k(event, number)
		JOIN event_versions v ON v.event_id = k.event AND v.number = k.number`, events, versions)
	if err != nil {
		return nil, mapError(err, "find versions")
	}
	found := map[VersionKey]*cronium.Content{}
	var key VersionKey
	var text []byte
	_, err = pgx.ForEachRow(rows, []any{&key.Workspace, &key.Event, &key.Version, &text}, func() error {
		var content cronium.Content
		if json.Unmarshal(text, &content) == nil {
			found[key] = &content
		}
		return nil
	})
	return found, mapError(err, "find versions")
}
