package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	role     = "cronium"
	database = "cronium"

	// port is only a part of the socket's file name; nothing listens on TCP.
	port = "5432"

	stopGrace      = 30 * time.Second // fast shutdown, then immediate
	restartMin     = 100 * time.Millisecond
	restartMax     = 10 * time.Second
	restartSettled = time.Minute // running this long makes the next restart quick again
	pruneEvery     = time.Hour
)

// Config says where a cluster lives and how it runs.
type Config struct {
	// DataDir is made if it does not exist, with mode 0700. When the process
	// is root it belongs to the system user "postgres", who must be able to
	// enter every folder above it.
	DataDir string

	// BinDir is the folder of initdb and postgres; empty: looked for.
	BinDir string

	// Settings are added to postgresql.conf, over Cronium's own.
	Settings map[string]string

	Logger *slog.Logger
}

// Cluster is a running PostgreSQL. Its methods may be called at any time from
// any goroutine.
type Cluster struct {
	cfg    Config
	layout layout
	owner  account
	bin    binaries
	users  *fileLock

	spawned time.Time // when a postmaster was last started here; ensure's own

	stopping chan struct{}
	done     chan struct{} // closed when supervise has returned
	stopOnce sync.Once
	stopErr  error

	mu      sync.Mutex
	current *postmaster
	down    error // why current is nil
}

// Start returns when the cluster answers queries; making a new one takes a few
// seconds. The context bounds the start alone. The cluster then runs until Stop.
//
// Errors wrap ErrNoBinaries, ErrOtherVersion, ErrDiskFull or ErrPermission
// where one of these is the reason, and say what to do.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("find the database directory: %w", err)
	}
	cfg.DataDir = dir
	c := &Cluster{cfg: cfg, stopping: make(chan struct{}), done: make(chan struct{})}
	if c.owner, err = accountFor(dir); err != nil {
		return nil, err
	}
	if c.layout, err = prepare(dir, c.owner); err != nil {
		return nil, named(fmt.Errorf("prepare %s: %w", dir, err))
	}
	if c.bin, err = findBinaries(ctx, cfg.BinDir, c.layout.data); err != nil {
		return nil, err
	}
	// Before the postmaster is looked for, so that no other process's Stop
	// ends it in between.
	if c.users, err = lockFile(ctx, c.layout.usersLock, shared); err != nil {
		return nil, named(err)
	}
	pm, err := c.ensure(ctx)
	if err != nil {
		return nil, errors.Join(err, c.leave(context.WithoutCancel(ctx)))
	}
	go c.supervise(pm)
	return c, nil
}

// URL is a connection string for the role cronium and its database. It stays
// the same while the cluster runs, restarts included.
func (c *Cluster) URL() string { return c.url(role, database) }

// AdminURL is a connection string for the superuser, for maintenance and tests.
func (c *Cluster) AdminURL() string { return c.url("postgres", "postgres") }

// Version is the major version of the binaries, for example 15.
func (c *Cluster) Version() int { return c.bin.major }

// Err is nil while the postmaster runs, otherwise why it does not; it is being
// started again meanwhile.
func (c *Cluster) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.down
}

// Stop ends this process's use of the cluster, and the cluster itself if no
// other process uses it. It waits up to 30 s for a clean shutdown, less if the
// context ends, and then has PostgreSQL end at once; nothing committed is lost
// either way. Calling it again returns the same.
func (c *Cluster) Stop(ctx context.Context) error {
	c.stopOnce.Do(func() {
		close(c.stopping)
		<-c.done
		c.stopErr = c.leave(ctx)
	})
	return c.stopErr
}

// leave gives up the cluster and ends it if nobody else uses it. It looks for
// the postmaster anew: one may have been started and not yet known to supervise.
func (c *Cluster) leave(ctx context.Context) error {
	defer c.users.release()
	if c.current != nil {
		c.current.release()
	}
	if !c.users.upgrade() {
		return nil
	}
	pm, err := c.find()
	if err != nil || pm == nil {
		return err
	}
	defer pm.release()
	if err := pm.stop(ctx, stopGrace); err != nil {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	c.layout.removeSocketDir()
	return nil
}

func (c *Cluster) url(user, db string) string {
	q := url.Values{"host": {c.layout.socketDir}, "port": {port}}
	return (&url.URL{Scheme: "postgres", User: url.User(user), Host: "", Path: "/" + db, RawQuery: q.Encode()}).String()
}

// supervise owns the postmaster: it starts it again whenever it has ended.
func (c *Cluster) supervise(pm *postmaster) {
	defer close(c.done)
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	delay, since := restartMin, time.Now()
	for {
		c.set(pm, nil)
		select {
		case <-c.stopping:
			return
		case <-prune.C:
			pruneLogs(c.layout.logDir())
			continue
		case <-pm.exited:
		}
		if time.Since(since) > restartSettled {
			delay = restartMin
		}
		c.cfg.Logger.Error("PostgreSQL ended; starting it again", "pid", pm.pid)
		pm.release()
		c.set(nil, errors.New("PostgreSQL ended and is being started again"))
		if pm = c.restart(&delay); pm == nil {
			return
		}
		since = time.Now()
		c.cfg.Logger.Info("PostgreSQL runs again", "pid", pm.pid)
	}
}

// restart tries until it has a postmaster; nil when the cluster is stopped.
func (c *Cluster) restart(delay *time.Duration) *postmaster {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-c.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		pm, err := c.ensure(ctx)
		if err == nil {
			return pm
		}
		if ctx.Err() != nil {
			return nil
		}
		c.cfg.Logger.Error("PostgreSQL cannot be started; trying again", "error", err, "in", *delay)
		c.set(nil, err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(*delay):
		}
		*delay = min(2**delay, restartMax)
	}
}

func (c *Cluster) set(pm *postmaster, down error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.down = pm, down
}

// ensure returns a postmaster that answers: the one that runs, or a new one.
func (c *Cluster) ensure(ctx context.Context) (*postmaster, error) {
	lock, err := lockFile(ctx, c.layout.startLock, exclusive)
	if err != nil {
		return nil, named(err)
	}
	defer lock.release()
	pm, err := c.adopt(ctx)
	if err != nil {
		return nil, err
	}
	if pm == nil {
		if pm, err = c.startPostmaster(ctx); err != nil {
			return nil, err
		}
	}
	if err := c.provision(ctx); err != nil {
		pm.release()
		return nil, fmt.Errorf("make the database %q: %w", database, err)
	}
	return pm, nil
}

// startPostmaster starts one where none runs, making the cluster first if
// there is none.
func (c *Cluster) startPostmaster(ctx context.Context) (*postmaster, error) {
	if _, err := os.Stat(filepath.Join(c.layout.data, "PG_VERSION")); errors.Is(err, os.ErrNotExist) {
		c.cfg.Logger.Info("making a new database", "directory", c.layout.data, "postgresql", c.bin.major)
		if err := c.initialise(ctx); err != nil {
			return nil, fmt.Errorf("make a new database: %w", err)
		}
	}
	if err := c.layout.chooseSocketDir(c.owner); err != nil {
		return nil, named(fmt.Errorf("make a directory for the database's socket: %w", err))
	}
	if err := c.writeConfiguration(); err != nil {
		return nil, named(fmt.Errorf("write the database's configuration: %w", err))
	}
	pruneLogs(c.layout.logDir())
	if err := c.layout.removeSocket(); err != nil {
		return nil, named(err)
	}
	pm, err := c.spawn()
	if err != nil {
		return nil, named(fmt.Errorf("start PostgreSQL: %w", err))
	}
	if err := c.awaitReady(ctx, pm); err != nil {
		defer pm.release()
		return nil, errors.Join(err, pm.stop(ctx, 0))
	}
	return pm, nil
}
