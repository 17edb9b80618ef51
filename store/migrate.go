package store

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"cronium.dev/cronium"
	"cronium.dev/migrations"
)

// migrationLock is the advisory lock under which one process migrates while
// others that start at the same time wait. The number has no meaning.
const migrationLock = 7_203_114_905

// Migrate brings the database at url to this program's version, forward only:
// our tables, the queue's tables, and the partitions of the coming weeks. A
// database that is newer than the program is refused.
func Migrate(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		return fmt.Errorf("wait for other migrations: %w", err)
	}
	if err := migrateOwn(ctx, conn); err != nil {
		return err
	}
	if err := migrateQueue(ctx, url); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return makePartitions(ctx, tx, time.Now()) })
}

func migrateOwn(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS migrations (
		number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`); err != nil {
		return fmt.Errorf("make the table of migrations: %w", err)
	}
	rows, err := conn.Query(ctx, `SELECT number FROM migrations`)
	if err != nil {
		return fmt.Errorf("read the table of migrations: %w", err)
	}
	applied, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return fmt.Errorf("read the table of migrations: %w", err)
	}
	names, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		return fmt.Errorf("list migrations: %w", err)
	}
	todo, err := pending(names, applied)
	if err != nil {
		return err
	}
	for _, name := range todo {
		if err := apply(ctx, conn, name); err != nil {
			return err
		}
	}
	return nil
}

// pending are the migrations that a database does not have, in the order of
// their numbers, also one that was written after others with larger numbers. A
// database that has one of a newer program is refused.
func pending(names []string, applied []int) ([]string, error) {
	names = slices.Sorted(slices.Values(names))
	var todo []string
	newest := 0
	for _, name := range names {
		n, err := number(name)
		if err != nil {
			return nil, err
		}
		if newest = n; !slices.Contains(applied, n) {
			todo = append(todo, name)
		}
	}
	if last := slices.Max(append(applied, 0)); last > newest {
		return nil, cronium.Errorf(cronium.CodeConflict,
			"The database has migration %d and this program knows %d: it was used by a newer Cronium. Start that version or a later one.", last, newest)
	}
	return todo, nil
}

// number is the number of a migration's file.
func number(name string) (int, error) {
	n, err := strconv.Atoi(strings.SplitN(name, "_", 2)[0])
	if err != nil {
		return 0, fmt.Errorf("migration %s has no number: %w", name, err)
	}
	return n, nil
}

func apply(ctx context.Context, conn *pgx.Conn, name string) error {
	n, err := number(name)
	if err != nil {
		return err
	}
	sql, err := migrations.Files.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read migration %s: %w", name, err)
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, string(sql)); err != nil {
			return fmt.Errorf("apply migration %s: %w", name, err)
		}
		_, err := tx.Exec(ctx, `INSERT INTO migrations (number, name) VALUES ($1, $2)`, n, name)
		return err
	})
}

// migrateQueue brings River's tables to its version.
func migrateQueue(ctx context.Context, url string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer pool.Close()
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return fmt.Errorf("prepare the queue's tables: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate the queue's tables: %w", err)
	}
	return nil
}
