package testenv_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"cronium.dev/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func migrate(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE TABLE notes (text text)")
	return err
}

func TestEachDatabaseIsACopyOfItsOwn(t *testing.T) {
	t.Parallel()
	for range 20 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			conn, err := pgx.Connect(t.Context(), testenv.Database(t, migrate))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(context.Background())
			if _, err := conn.Exec(t.Context(), "INSERT INTO notes VALUES ('mine')"); err != nil {
				t.Fatal(err)
			}
			var n int
			if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM notes").Scan(&n); err != nil || n != 1 {
				t.Fatalf("found %d notes (%v), want mine alone", n, err)
			}
		})
	}
}

func migrateOtherwise(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE TABLE pictures (name text)")
	return err
}

func TestOtherMigrationsGiveAnotherTemplate(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), testenv.Database(t, migrateOtherwise))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "SELECT name FROM pictures"); err != nil {
		t.Error(err)
	}
}

func TestEngineAnswers(t *testing.T) {
	t.Parallel()
	if host := testenv.Engine(t); host == "" {
		t.Error("no address")
	}
}
