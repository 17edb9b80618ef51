package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// inOne is a transaction that the calls of a context share.
type inOne struct {
	tx        pgx.Tx
	workspace cronium.ID
}

type inOneKey struct{}

// InOne carries out what f asks of the store with its context in one transaction:
// all of it, or with an error nothing. It is for methods that change or read one
// workspace; what takes jobs, and what sees all workspaces, goes its own way and
// sees the rest once f has returned. f must call one method at a time.
func (s *Store) InOne(ctx context.Context, workspace cronium.ID, f func(context.Context) error) error {
	return s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		return f(context.WithValue(ctx, inOneKey{}, &inOne{tx, workspace}))
	})
}

// shared is the transaction that a call is part of; nil: it has its own.
func shared(ctx context.Context, workspace cronium.ID) (pgx.Tx, error) {
	one, ok := ctx.Value(inOneKey{}).(*inOne)
	if !ok {
		return nil, nil
	}
	if one.workspace != workspace {
		return nil, errors.New("a transaction of one workspace was asked for another")
	}
	return one.tx, nil
}
