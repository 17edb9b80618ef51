package testenv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"cronium.dev/postgres"
)

const (
	templatePrefix = "template_"
	testPrefix     = "test_"
	keptTemplates  = 8
	startLimit     = 2 * time.Minute
)

// server is this process's use of the shared PostgreSQL.
type server struct {
	cluster *postgres.Cluster
	admin   *pgxpool.Pool

	mu        sync.Mutex
	made      int
	templates map[string]bool // those that are there
}

// Hold starts the PostgreSQL for tests, so that it runs from one test process
// to the next, until the function it returns is called.
func Hold(ctx context.Context) (release func() error, err error) {
	s, err := startServer(ctx)
	if err != nil {
		return nil, err
	}
	return s.stop, nil
}

func startServer(ctx context.Context) (*server, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	root, err := Root()
	if err != nil {
		return nil, err
	}
	cfg := postgres.Config{
		DataDir: filepath.Join(root, "build", "testenv", "postgres"),
		// Nothing here outlives the tests, so nothing need reach the disk.
		Settings: map[string]string{
			"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
			"max_connections": "400", "autovacuum_naptime": "60s",
		},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	cluster, err := postgres.Start(ctx, cfg)
	if errors.Is(err, postgres.ErrPermission) {
		// A checkout in a folder that PostgreSQL's user may not enter.
		cfg.DataDir = filepath.Join(os.TempDir(), "cronium-testenv", strings.ReplaceAll(root, "/", "-"))
		cluster, err = postgres.Start(ctx, cfg)
	}
	if err != nil {
		return nil, err
	}
	s := &server{cluster: cluster, templates: map[string]bool{}}
	if s.admin, err = pgxpool.New(ctx, cluster.AdminURL()); err == nil {
		err = s.sweep(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *server) stop() error {
	if s.admin != nil {
		s.admin.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return s.cluster.Stop(ctx)
}

// sweep drops the databases of test processes that no longer live, and the
// oldest templates.
func (s *server) sweep(ctx context.Context) error {
	rows, err := s.admin.Query(ctx, `SELECT datname FROM pg_database
		WHERE datname LIKE 'test\_%' OR datname LIKE 'template\_%' ORDER BY oid DESC`)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	templates := 0
	for _, name := range names {
		if rest, ok := strings.CutPrefix(name, testPrefix); ok {
			pid, _, _ := strings.Cut(rest, "_")
			if _, err := os.Stat("/proc/" + pid); err == nil {
				continue
			}
		} else if templates++; templates <= keptTemplates {
			continue
		}
		if _, err := s.admin.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
			return fmt.Errorf("drop the old database %s: %w", name, err)
		}
	}
	return nil
}

// newName is the name of a database that this process may make.
func (s *server) newName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	return testPrefix + strconv.Itoa(os.Getpid()) + "_" + strconv.Itoa(s.made)
}

// url is a connection string for the role cronium and the database name.
func (s *server) url(name string) string {
	return strings.Replace(s.cluster.URL(), "/cronium?", "/"+name+"?", 1)
}
