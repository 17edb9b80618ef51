package testenv

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Database makes a database for this test and returns its connection string,
// for the same role with the same rights as in the product. It is a copy of a
// template that migrate made. A template serves all that pass the same named
// function, until a file in migrations/ or go.mod changes.
func Database(t testing.TB, migrate func(ctx context.Context, url string) error) string {
	t.Helper()
	s := shared(t)
	template, err := s.migrated(t.Context(), migrate)
	if err != nil {
		t.Fatalf("make the template of the test databases: %v", err)
	}
	return s.create(t, template)
}

// EmptyDatabase makes a database for this test with nothing in it.
func EmptyDatabase(t testing.TB) string {
	t.Helper()
	return shared(t).create(t, "template0")
}

// AdminURL returns the connection string of the PostgreSQL's superuser, for
// tests of what an administrator does to it.
func AdminURL(t testing.TB) string {
	t.Helper()
	return shared(t).cluster.AdminURL()
}

func (s *server) create(t testing.TB, template string) string {
	t.Helper()
	name := s.newName()
	if err := s.copyDatabase(t.Context(), name, template); err != nil {
		t.Fatalf("make a test database: %v", err)
	}
	t.Cleanup(func() {
		if _, err := s.admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the test database: %v", err)
		}
	})
	return s.url(name)
}

func (s *server) copyDatabase(ctx context.Context, name, template string) error {
	_, err := s.admin.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template+" OWNER cronium")
	return err
}

// migrated returns the name of the template, made now if there is none yet.
func (s *server) migrated(ctx context.Context, migrate func(context.Context, string) error) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	digest, err := migrationDigest(migrate)
	if err != nil {
		return "", err
	}
	name := templatePrefix + digest
	if s.templates[name] {
		return name, nil
	}
	conn, err := s.admin.Acquire(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Release()
	// One process migrates, the others wait for it.
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(7364001)"); err != nil {
		return "", err
	}
	defer conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(7364001)")
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil {
		return "", err
	}
	if !there {
		if err := s.makeTemplate(ctx, name, migrate); err != nil {
			return "", err
		}
	}
	s.templates[name] = true
	return name, nil
}

// makeTemplate gives the template its name when it is complete.
func (s *server) makeTemplate(ctx context.Context, name string, migrate func(context.Context, string) error) error {
	draft := "draft"
	if _, err := s.admin.Exec(ctx, "DROP DATABASE IF EXISTS "+draft+" WITH (FORCE)"); err != nil {
		return err
	}
	if err := s.copyDatabase(ctx, draft, "template0"); err != nil {
		return err
	}
	if err := migrate(ctx, s.url(draft)); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	_, err := s.admin.Exec(ctx, "ALTER DATABASE "+draft+" RENAME TO "+pgx.Identifier{name}.Sanitize())
	return err
}

// migrationDigest changes with the migrations, with the libraries that bring
// some of their own, and with the function's name.
func migrationDigest(migrate func(context.Context, string) error) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.FuncForPC(reflect.ValueOf(migrate).Pointer()).Name())
	add := func(path string) error {
		text, err := os.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n%s", path, len(text), text)
		return err
	}
	if err := add(filepath.Join(root, "go.mod")); err != nil {
		return "", err
	}
	err = filepath.WalkDir(filepath.Join(root, "migrations"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return add(path)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}
