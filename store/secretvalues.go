package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// SealedSecret is one value that is, or was until lately, secret.
type SealedSecret struct {
	ID      cronium.ID // of the variable
	Version int
	DataKey int
	Sealed  []byte
}

// secretsRequest asks for the secrets of one event.
type secretsRequest struct {
	workspace, event cronium.ID
	since            *time.Time
}

// SecretsFor gives the secrets that an event may use, of all environments. With
// since also those of its workspace that were replaced or deleted after it: a
// script that runs since then may have read them.
func (s *Store) SecretsFor(ctx context.Context, workspace, event cronium.ID, since *time.Time) ([]SealedSecret, error) {
	return s.secrets.do(ctx, secretsRequest{workspace, event, since})
}

func (s *Store) secretsBatch(ctx context.Context, batch []secretsRequest) ([][]SealedSecret, error) {
	n := len(batch)
	workspaces, events, since, numbers := make([]cronium.ID, n), make([]cronium.ID, n), make([]*time.Time, n), make([]int, n)
	for i, r := range batch {
		workspaces[i], events[i], since[i], numbers[i] = r.workspace, r.event, r.since, i
	}
	rows, err := s.worker.Query(ctx, `
		WITH asked AS (SELECT * FROM unnest($1::int[], $2::uuid[], $3::uuid[], $4::timestamptz[]) AS a (number, workspace, event, since))
		SELECT a.number, v.id, v.version, v.data_key, v.sealed FROM asked a
		JOIN variables v ON v.workspace_id = a.workspace AND v.secret
		WHERE v.all_events OR EXISTS (SELECT FROM variable_grants g WHERE g.variable_id = v.id AND g.event_id = a.event)
		UNION ALL
		SELECT a.number, r.variable_id, r.version, r.data_key, r.sealed FROM asked a
		JOIN retired_secrets r ON r.workspace_id = a.workspace AND r.retired_at >= a.since`, numbers, workspaces, events, since)
	if err != nil {
		return nil, mapError(err, "read secrets")
	}
	found := make([][]SealedSecret, n)
	var number int
	var secret SealedSecret
	_, err = pgx.ForEachRow(rows, []any{&number, &secret.ID, &secret.Version, &secret.DataKey, &secret.Sealed}, func() error {
		if number < 0 || number >= n {
			return fmt.Errorf("row of request %d of %d", number, n)
		}
		found[number] = append(found[number], secret)
		secret.Sealed = nil // the next row is not to be written over it
		return nil
	})
	return found, mapError(err, "read secrets")
}
