package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"cronium.dev/cronium"
)

// Store is the database. Its methods may be called concurrently.
type Store struct {
	pool   *pgxpool.Pool // no scope: a transaction sets its workspace
	worker *pgxpool.Pool // scope 'system'

	claims       *batcher[Claim, *Claimed]
	targetClaims *batcher[TargetClaim, *ClaimedTarget]
	starts       *batcher[Started, bool]
	appends      *batcher[appendRequest, bool]
	finishes     *batcher[Finish, bool]
	targetEnds   *batcher[TargetEnd, bool]
	secrets      *batcher[secretsRequest, []SealedSecret]

	release atomic.Pointer[queueFunc] // of OnRelease

	spans spans // of Activity
}

// workerSettings are those of the workers' connections. Their statements take a
// handful of rows by their ids, in tables whose statistics are always old: a
// plan for known values, made anew each time, or one that first gathers all open
// rows of all partitions is never right for them.
const workerSettings = `
	SET cronium.scope = 'system';
	SET plan_cache_mode = force_generic_plan;
	SET enable_hashjoin = off;
	SET enable_mergejoin = off;
	SET enable_bitmapscan = off;
	SET enable_material = off;
	SET enable_seqscan = off`

// Connections at most, whatever the number of processors: pages and the queue
// wait for each other rather than exhaust the database, and the workers have
// enough for all batchers and the lease beside them. Four processes fit into
// PostgreSQL's usual 100.
const (
	pageConns   = 14
	workerConns = 10
)

// Open connects to the database at url. It refuses a role for which row-level
// security would not hold.
func Open(ctx context.Context, url string) (*Store, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read database address: %w", err)
	}
	config.MaxConnIdleTime = 5 * time.Minute
	config.MaxConns = pageConns
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	system := config.Copy()
	system.MaxConns = workerConns
	system.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, workerSettings)
		return err
	}
	s := &Store{}
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if s.worker, err = pgxpool.NewWithConfig(ctx, system); err != nil {
		s.pool.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := s.checkRole(ctx); err != nil {
		s.pool.Close()
		s.worker.Close()
		return nil, err
	}
	s.claims = newBatcher(256, 1, s.claimBatch)
	s.starts = newBatcher(256, 1, s.startBatch)
	s.appends = newBatcher(64, 2, s.appendBatch)
	s.finishes = newBatcher(256, 1, s.finishBatch)
	s.targetClaims = newBatcher(256, 1, s.claimTargetBatch)
	s.targetEnds = newBatcher(256, 1, s.endTargetBatch)
	s.secrets = newBatcher(256, 1, s.secretsBatch)
	return s, nil
}

// checkRole makes sure that the policies of the tenants' tables bind us.
func (s *Store) checkRole(ctx context.Context) error {
	var role string
	var exempt bool
	err := s.pool.QueryRow(ctx, `SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user`).Scan(&role, &exempt)
	if err != nil {
		return fmt.Errorf("ask the database for our role: %w", err)
	}
	if exempt {
		return cronium.Errorf(cronium.CodeInvalid,
			"The database role %q is a superuser or bypasses row-level security, so workspaces would not be kept apart. "+
				"Use a plain role that owns the database: CREATE ROLE cronium LOGIN PASSWORD '…'; CREATE DATABASE cronium OWNER cronium;", role)
	}
	return nil
}

// Close ends all connections. Nothing may be under way.
func (s *Store) Close() {
	s.claims.close()
	s.starts.close()
	s.appends.close()
	s.finishes.close()
	s.targetClaims.close()
	s.targetEnds.close()
	s.secrets.close()
	s.pool.Close()
	s.worker.Close()
}

// Pool gives connections without a workspace: tenants' tables look empty there.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// WorkerPool gives connections that see every workspace, for the job queue.
func (s *Store) WorkerPool() *pgxpool.Pool { return s.worker }

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("ask the database: %w", err)
	}
	return nil
}

// workspace runs f in a transaction that sees one workspace.
func (s *Store) workspace(ctx context.Context, workspace cronium.ID, f func(pgx.Tx) error) error {
	return s.inWorkspace(ctx, workspace, "BEGIN", f)
}

// read runs f in a read-only transaction that sees one workspace.
func (s *Store) read(ctx context.Context, workspace cronium.ID, f func(pgx.Tx) error) error {
	return s.inWorkspace(ctx, workspace, "BEGIN READ ONLY", f)
}

func (s *Store) inWorkspace(ctx context.Context, workspace cronium.ID, begin string, f func(pgx.Tx) error) error {
	if tx, err := shared(ctx, workspace); tx != nil || err != nil {
		if err != nil {
			return err
		}
		return f(tx)
	}
	// One round trip: a UUID's text has no quote to escape.
	begin += "; SET LOCAL cronium.workspace = '" + workspace.String() + "'"
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{BeginQuery: begin}, f)
}

// system runs f in a transaction that sees every workspace.
func (s *Store) system(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, s.worker, f)
}

// ErrUnstorable says that the database can never take these values: trying
// again is useless.
var ErrUnstorable = errors.New("the database cannot hold the value")

// mapError turns what the driver says into what it means: no row is
// cronium.ErrNotFound, a broken unique rule is a conflict about what. Other
// errors are wrapped with what.
func mapError(err error, what string) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrNoRows):
		return cronium.ErrNotFound
	case errors.As(err, &pg) && pg.Code == "23505":
		return &cronium.Error{Code: cronium.CodeConflict, Message: "That exists already.", Err: fmt.Errorf("%s: %w", what, err)}
	case errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "22") || strings.HasPrefix(pg.Code, "54")):
		return fmt.Errorf("%s: %w: %w", what, ErrUnstorable, err)
	case errors.As(err, &pg) && pg.Code == "53100":
		return &cronium.Error{Code: cronium.CodeUnavailable, Message: "The database's disk is full; nothing was changed.", Err: fmt.Errorf("%s: %w", what, err)}
	}
	return fmt.Errorf("%s: %w", what, err)
}
