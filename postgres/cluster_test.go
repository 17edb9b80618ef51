package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"cronium.dev/postgres"
)

// limit is how long any wait of a test may take; nothing is asserted about time.
const limit = 60 * time.Second

// volatile makes a test's cluster quick to make.
var volatile = map[string]string{"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}

func TestMain(m *testing.M) {
	if dir := os.Getenv("CRONIUM_TEST_USE_CLUSTER"); dir != "" {
		useCluster(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// dataDir is a folder that PostgreSQL's user can enter, which t.TempDir of root
// is not.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cronium-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "postgres")
}

func start(t *testing.T, dir string) *postgres.Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c, err := postgres.Start(ctx, postgres.Config{DataDir: dir, Settings: volatile, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() { stop(t, c) })
	return c
}

func stop(t *testing.T, c *postgres.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// query runs one statement on a connection of its own.
func query(ctx context.Context, url, sql string) (string, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return "", err
	}
	values, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		all, err := row.Values()
		return strings.TrimSuffix(fmt.Sprintln(all...), "\n"), err
	})
	return strings.Join(values, "\n"), err
}

func mustQuery(t *testing.T, c *postgres.Cluster, sql string) string {
	t.Helper()
	text, err := query(t.Context(), c.URL(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("not so after %s: %s", limit, what)
		case <-tick.C:
		}
	}
}

// pid is the process number of the postmaster; 0 if none runs.
func pid(dir string) int {
	text, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	n, _ := strconv.Atoi(line)
	return n
}

func TestFirstStartMakesADatabaseAndARoleWithoutPower(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	c := start(t, dir)
	got := mustQuery(t, c, `SELECT current_user, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole
		FROM pg_roles WHERE rolname = current_user`)
	if want := "cronium false false false false"; got != want {
		t.Errorf("role: %s, want %s", got, want)
	}
	got = mustQuery(t, c, `SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate
		FROM pg_database WHERE datname = current_database()`)
	if want := "cronium UTF8 C"; got != want {
		t.Errorf("database: %s, want %s", got, want)
	}
	if got := mustQuery(t, c, "SELECT lower('ÄÉ')"); got != "äé" {
		t.Errorf("lower case of ÄÉ is %s", got)
	}
	if got := mustQuery(t, c, "SHOW listen_addresses"); got != "" {
		t.Errorf("it listens on %q, want the Unix socket alone", got)
	}
}

func TestProductKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	c, err := postgres.Start(t.Context(), postgres.Config{DataDir: dataDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, c) })
	for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes", "data_checksums"} {
		if got := mustQuery(t, c, "SHOW "+setting); got != "on" {
			t.Errorf("%s is %s", setting, got)
		}
	}
}

func TestDataOutlivesARestart(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	c := start(t, dir)
	mustQuery(t, c, "CREATE TABLE notes AS SELECT 'kept' AS text")
	stop(t, c)
	if p := pid(dir); p != 0 {
		t.Errorf("process %d was left after Stop", p)
	}
	if got := mustQuery(t, start(t, dir), "SELECT text FROM notes"); got != "kept" {
		t.Errorf("found %q", got)
	}
}

func TestKilledPostmasterIsStartedAgain(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	c := start(t, dir)
	mustQuery(t, c, "CREATE TABLE notes AS SELECT 'kept' AS text")
	for range 2 {
		old := pid(dir)
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "another postmaster answers at the same address", func() bool {
			text, err := query(t.Context(), c.URL(), "SELECT text FROM notes")
			return err == nil && text == "kept" && pid(dir) != old && c.Err() == nil
		})
	}
}

func TestOtherUsersOfTheMachineAreKeptOut(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	start(t, dir)
	for _, path := range []string{dir, filepath.Join(dir, "data"), filepath.Join(dir, "socket")} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %o, want 700", path, info.Mode().Perm())
		}
	}
}

func TestRootIsGivenUp(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	start(t, dir)
	var st syscall.Stat_t
	if err := syscall.Stat(fmt.Sprintf("/proc/%d", pid(dir)), &st); err != nil {
		t.Fatal(err)
	}
	if st.Uid == 0 {
		t.Error("PostgreSQL runs as root")
	}
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid(dir)))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(groups), "Groups:\t0 ") {
		t.Error("PostgreSQL is in root's groups")
	}
}

func TestFolderThatPostgresMayNotEnterIsNamed(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // without root PostgreSQL is this user, who may enter
	}
	parent := filepath.Join(filepath.Dir(dataDir(t)), "closed")
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := postgres.Start(t.Context(), postgres.Config{DataDir: filepath.Join(parent, "postgres")})
	if !errors.Is(err, postgres.ErrPermission) || !strings.Contains(err.Error(), "chmod o+x "+parent) {
		t.Errorf("error is %v, want ErrPermission and what to do", err)
	}
}

func TestLongPathHasItsSocketElsewhere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(dataDir(t), strings.Repeat("long", 20), strings.Repeat("path", 20))
	if err := os.MkdirAll(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	c := start(t, filepath.Join(dir, "postgres"))
	mustQuery(t, c, "SELECT 1")
	note := filepath.Join(dir, "postgres", "socket-directory")
	where, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, c)
	if _, err := os.Stat(string(where)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was left after Stop (%v)", where, err)
	}
	mustQuery(t, start(t, filepath.Join(dir, "postgres")), "SELECT 1")
}

func TestOtherMajorVersionIsRefused(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	stop(t, start(t, dir))
	version := filepath.Join(dir, "data", "PG_VERSION")
	if err := os.WriteFile(version, []byte("11\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := postgres.Start(t.Context(), postgres.Config{DataDir: dir})
	if !errors.Is(err, postgres.ErrOtherVersion) || !strings.Contains(err.Error(), "apt-get install postgresql-11") {
		t.Errorf("error is %v, want ErrOtherVersion and what to do", err)
	}
}

func TestMissingBinariesAreNamed(t *testing.T) {
	t.Parallel()
	_, err := postgres.Start(t.Context(), postgres.Config{DataDir: dataDir(t), BinDir: t.TempDir()})
	if !errors.Is(err, postgres.ErrNoBinaries) {
		t.Errorf("error is %v, want ErrNoBinaries", err)
	}
}

func TestHalfMadeClusterIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	mustQuery(t, start(t, dir), "SELECT 1")
}

func TestBrokenSettingIsReported(t *testing.T) {
	t.Parallel()
	_, err := postgres.Start(t.Context(), postgres.Config{DataDir: dataDir(t), Settings: map[string]string{"fsync": "off", "shared_buffers": "many"}})
	if err == nil || !strings.Contains(err.Error(), "shared_buffers") {
		t.Errorf("error is %v, want PostgreSQL's own words", err)
	}
}
