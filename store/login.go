package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// TakeTry counts a try for each limit, or for none and returns how long the
// longest one makes it wait. Tries of one key pass here one after another.
func (s *Store) TakeTry(ctx context.Context, limits []cronium.TryLimit) (wait time.Duration, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		for _, l := range limits {
			w, err := takeTry(ctx, tx, l)
			if err != nil {
				return err
			}
			wait = max(wait, w)
		}
		if wait > 0 {
			return errTryLater
		}
		return nil
	})
	if errors.Is(err, errTryLater) {
		return wait, nil
	}
	return wait, mapError(err, "count try")
}

// errTryLater undoes the counts of a try that may not be made yet.
var errTryLater = errors.New("try later")

func takeTry(ctx context.Context, tx pgx.Tx, l cronium.TryLimit) (wait time.Duration, err error) {
	if l.Unless != "" {
		var marked bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM login_failures WHERE key = $1)`, l.Unless).Scan(&marked); err != nil || marked {
			return 0, err
		}
	}
	if _, err := tx.Exec(ctx, `INSERT INTO login_failures (key, failures, last_at) VALUES ($1, 0, now())
		ON CONFLICT (key) DO NOTHING`, l.Key); err != nil {
		return 0, err
	}
	var made int
	var lastAt, now time.Time
	var until *time.Time
	// clock_timestamp, because waiting for the lock takes time.
	if err := tx.QueryRow(ctx, `SELECT failures, last_at, blocked_until, clock_timestamp() FROM
		(SELECT failures, last_at, blocked_until FROM login_failures WHERE key = $1 FOR UPDATE) AS locked`, l.Key,
	).Scan(&made, &lastAt, &until, &now); err != nil {
		return 0, err
	}
	if until != nil && until.After(now) {
		return until.Sub(now), nil
	}
	if now.Sub(lastAt) > l.Forget {
		made = 0
	}
	made++
	until = nil
	if next := l.Wait(made); next > 0 {
		at := now.Add(next)
		until = &at
	}
	_, err = tx.Exec(ctx, `UPDATE login_failures SET failures = $2, last_at = $3, blocked_until = $4 WHERE key = $1`, l.Key, made, now, until)
	return 0, err
}

// ReturnTry takes a try back because it was right, forgets the count of the
// key forget, and sets the mark unless it is empty.
func (s *Store) ReturnTry(ctx context.Context, limits []cronium.TryLimit, forget, mark string) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		for _, l := range limits {
			if _, err := tx.Exec(ctx, `UPDATE login_failures SET failures = greatest(failures - 1, 0), blocked_until = NULL
				WHERE key = $1`, l.Key); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `DELETE FROM login_failures WHERE key = $1`, forget); err != nil || mark == "" {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO login_failures (key, failures, last_at) VALUES ($1, 0, now())
			ON CONFLICT (key) DO UPDATE SET last_at = now()`, mark)
		return err
	})
	return mapError(err, "take a try back")
}

// SweepSignIns removes ended sessions, counts of tries a day old, and marks of
// places from which nobody has signed in for 90 days.
func (s *Store) SweepSignIns(ctx context.Context) error {
	if _, err := s.worker.Exec(ctx, `DELETE FROM sessions s WHERE NOT (`+openSession+`)`); err != nil {
		return mapError(err, "remove ended sessions")
	}
	_, err := s.pool.Exec(ctx, `DELETE FROM login_failures
		WHERE last_at < now() - CASE WHEN key LIKE 'known:%' THEN interval '90 days' ELSE interval '1 day' END`)
	return mapError(err, "remove old tries")
}
