package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

type lockMode int

const (
	shared    lockMode = unix.LOCK_SH
	exclusive lockMode = unix.LOCK_EX
)

const lockPoll = 20 * time.Millisecond

// fileLock is a lock between processes; the kernel drops it when the process
// ends, however it ends.
type fileLock struct{ file *os.File }

// lockFile waits for the lock until the context ends.
func lockFile(ctx context.Context, path string, mode lockMode) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), int(mode)|unix.LOCK_NB)
		if err == nil {
			return &fileLock{f}, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for another process of Cronium that holds %s: %w", path, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// upgrade turns a shared lock into an exclusive one if nobody else shares it.
// Otherwise the lock is lost, which is right for one who is leaving: of
// several who leave at once the last one always gets it.
func (l *fileLock) upgrade() bool {
	return unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}

func (l *fileLock) release() { l.file.Close() }
