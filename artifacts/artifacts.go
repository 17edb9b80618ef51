// Package artifacts keeps the files that scripts save with their runs where they
// belong: all of them arrive in the database (package store), and where an object
// storage is configured the large ones are moved there, in the background, so that
// no script waits for it and none is lost while it is away.
//
// A file is copied first, then its row names the object, then its bytes leave the
// database. What a crash leaves between two of these steps is known by a row that
// was written before, and is removed.
package artifacts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"cronium.dev/cronium"
)

// Records is where artifacts arrive and what is known of them.
type Records interface {
	ArtifactPart(ctx context.Context, a *cronium.Artifact, from int64) ([]byte, error)
	ArtifactToMove(ctx context.Context, least int64) (a *cronium.Artifact, object string, err error)
	ArtifactMoved(ctx context.Context, a *cronium.Artifact, object string) error
	ArtifactNotMoved(ctx context.Context, object string) error
	LeftoverObjects(ctx context.Context, limit int) ([]string, error)
	ObjectRemoved(ctx context.Context, object string) error
	DropUploads(ctx context.Context) error
}

// Objects is an object storage.
type Objects interface {
	Put(ctx context.Context, name string, size int64, sum []byte, content io.Reader) error
	Get(ctx context.Context, name string, from int64) (io.ReadCloser, error)
	Remove(ctx context.Context, name string) error
}

// Config is what a Keeper works with.
type Config struct {
	Records Records
	Objects Objects       // nil: everything stays in the database
	Least   int64         // bytes from which on a file is moved
	Every   time.Duration // between two looks; 0 = 5 s
	Log     *slog.Logger
}

// Keeper moves, reads and removes artifacts. Several processes may each have one.
type Keeper struct{ Config }

// New makes a Keeper.
func New(config Config) *Keeper {
	if config.Every == 0 {
		config.Every = 5 * time.Second
	}
	return &Keeper{config}
}

// longestPause is the longest time between two tries while the storage does not
// answer.
const longestPause = time.Minute

// Run works until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	pause := k.Every
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if err := k.work(ctx); err == nil {
			pause = k.Every
		} else if ctx.Err() == nil {
			pause = min(2*pause, max(longestPause, k.Every))
			k.Log.Warn("artifacts were not moved or removed; it is tried again", "error", err)
		}
	}
}

func (k *Keeper) work(ctx context.Context) error {
	err := k.Records.DropUploads(ctx)
	if k.Objects == nil {
		return err
	}
	return errors.Join(err, k.move(ctx), k.removeLeftovers(ctx))
}

// move copies files into the storage while there are any.
func (k *Keeper) move(ctx context.Context) error {
	for {
		a, object, err := k.Records.ArtifactToMove(ctx, k.Least)
		if err != nil || a == nil {
			return err
		}
		if err := k.Objects.Put(ctx, object, a.Size, a.SHA256, &reader{ctx: ctx, records: k.Records, artifact: a}); err != nil {
			return errors.Join(fmt.Errorf("move artifact %s: %w", a.ID, err), k.Records.ArtifactNotMoved(context.WithoutCancel(ctx), object))
		}
		if err := k.Records.ArtifactMoved(ctx, a, object); err != nil {
			return err
		}
	}
}

// leftovers is how many objects are removed before the next look.
const leftovers = 100

func (k *Keeper) removeLeftovers(ctx context.Context) error {
	objects, err := k.Records.LeftoverObjects(ctx, leftovers)
	for _, object := range objects {
		if err := k.Objects.Remove(ctx, object); err != nil {
			return fmt.Errorf("remove object %s: %w", object, err)
		}
		if err := k.Records.ObjectRemoved(ctx, object); err != nil {
			return err
		}
	}
	return err
}

// Open reads an artifact from an offset on, wherever it is. It fails with
// CodeUnavailable when its storage is not configured or does not answer.
func (k *Keeper) Open(ctx context.Context, a *cronium.Artifact, from int64) (io.ReadCloser, error) {
	if a.Object == "" {
		return io.NopCloser(&reader{ctx: ctx, records: k.Records, artifact: a, at: from}), nil
	}
	err := errors.New("no object storage is configured")
	if k.Objects != nil {
		var object io.ReadCloser
		if object, err = k.Objects.Get(ctx, a.Object, from); err == nil {
			return object, nil
		}
	}
	return nil, &cronium.Error{Code: cronium.CodeUnavailable, Message: "The object storage that has this file cannot be read now. Try again later.", Err: err}
}

// reader reads an artifact from the database, a part at a time.
type reader struct {
	ctx      context.Context
	records  Records
	artifact *cronium.Artifact
	at       int64
	part     []byte
}

// Read fails with io.ErrUnexpectedEOF when parts are missing.
func (r *reader) Read(p []byte) (int, error) {
	if r.at >= r.artifact.Size {
		return 0, io.EOF
	}
	if len(r.part) == 0 {
		var err error
		if r.part, err = r.records.ArtifactPart(r.ctx, r.artifact, r.at); err != nil {
			return 0, err
		}
		if len(r.part) == 0 {
			return 0, io.ErrUnexpectedEOF // moved or replaced meanwhile
		}
	}
	n := copy(p, r.part)
	r.part, r.at = r.part[n:], r.at+int64(n)
	return n, nil
}
