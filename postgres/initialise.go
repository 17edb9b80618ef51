package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// initialise makes a new cluster. It appears under its name when it is
// complete, so being killed halfway leaves nothing that a next start mistakes
// for a database.
func (c *Cluster) initialise(ctx context.Context) error {
	draft := c.layout.data + ".new"
	if err := os.RemoveAll(draft); err != nil {
		return named(err)
	}
	if err := c.owner.mkdir(draft); err != nil {
		return named(err)
	}
	// Texts compare by their bytes, which is fast and never changes with the
	// operating system; upper and lower case know all of Unicode.
	err := c.initdb(ctx, draft, "--lc-collate=C", "--lc-ctype=C.UTF-8")
	if err != nil && strings.Contains(err.Error(), "invalid locale name") {
		err = c.initdb(ctx, draft, "--lc-collate=C", "--lc-ctype=C")
	}
	if err != nil {
		return err
	}
	return named(os.Rename(draft, c.layout.data))
}

func (c *Cluster) initdb(ctx context.Context, dir string, locale ...string) error {
	args := append([]string{
		"--pgdata=" + dir, "--username=postgres", "--auth=trust", "--encoding=UTF8",
		"--data-checksums", "--lc-messages=C", "--no-instructions",
	}, locale...)
	if c.cfg.Settings["fsync"] == "off" {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, c.bin.path("initdb"), args...)
	cmd.Dir = c.cfg.DataDir
	cmd.Env = environment()
	cmd.SysProcAttr = c.owner.sysProcAttr()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return namedByLog("initdb", string(out))
	}
	if err != nil {
		return named(fmt.Errorf("run initdb: %w", errors.Join(err, ctx.Err())))
	}
	return nil
}

// settings of the product. Everything that was acknowledged is on disk.
var settings = map[string]string{
	"listen_addresses":        "''",
	"unix_socket_permissions": "0700",
	"max_connections":         "200",
	"timezone":                "'UTC'",
	"jit":                     "off", // the queries are short

	"fsync":              "on",
	"synchronous_commit": "on",
	"full_page_writes":   "on",
	"shared_buffers":     "128MB",
	"random_page_cost":   "1.1",
	"wal_level":          "minimal", // no replicas; DATABASE_URL is for who needs them
	"max_wal_senders":    "0",
	"wal_buffers":        "16MB",
	"max_wal_size":       "2GB",
	"min_wal_size":       "256MB",

	// Partitions and many short transactions.
	"max_locks_per_transaction":    "256",
	"autovacuum_naptime":           "15s",
	"autovacuum_vacuum_cost_limit": "1000",

	"logging_collector":          "on",
	"log_filename":               "'postgresql-%Y%m%d-%H%M%S.log'",
	"log_rotation_size":          "10MB",
	"log_rotation_age":           "7d",
	"log_timezone":               "'UTC'",
	"log_line_prefix":            "'%m [%p] %q%u@%d '",
	"log_checkpoints":            "off",
	"log_min_duration_statement": "2s",
	"log_lock_waits":             "on",
}

// writeConfiguration writes both files anew at each start, so that a newer
// Cronium's settings count. An administrator's own go to local.conf.
func (c *Cluster) writeConfiguration() error {
	all := maps.Clone(settings)
	all["unix_socket_directories"] = quote(c.layout.socketDir)
	maps.Copy(all, c.cfg.Settings)
	var b strings.Builder
	b.WriteString("# Written by Cronium at each start. Settings of your own belong in local.conf beside this file.\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s = %s\n", name, all[name])
	}
	b.WriteString("include_if_exists 'local.conf'\n")
	if err := c.write("postgresql.conf", b.String()); err != nil {
		return err
	}
	// Who may open the socket is decided by the mode of its directory.
	return c.write("pg_hba.conf", "# Written by Cronium at each start.\nlocal all all trust\n")
}

func (c *Cluster) write(name, text string) error {
	path := filepath.Join(c.layout.data, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return c.owner.take(path)
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// provision makes the role and the database where they are missing.
func (c *Cluster) provision(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, c.AdminURL())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var hasRole, hasDatabase bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1),
		EXISTS (SELECT FROM pg_database WHERE datname = $2)`, role, database).Scan(&hasRole, &hasDatabase)
	if err != nil {
		return err
	}
	if !hasRole {
		if _, err := conn.Exec(ctx, "CREATE ROLE "+role+" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS"); err != nil {
			return err
		}
	}
	if !hasDatabase {
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+database+" OWNER "+role); err != nil {
			return err
		}
	}
	return nil
}
