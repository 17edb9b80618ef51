package container

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// Labels of every container and volume that Cronium makes.
const (
	labelInstance  = "cronium.instance"  // the installation; others on the same engine are left alone
	labelProcess   = "cronium.process"   // the server process that made it
	labelTarget    = "cronium.target"    // what manifests for the agent in it must name
	labelExecution = "cronium.execution" // for which it was made, when not for the pool
	labelPurpose   = "cronium.purpose"   // "run", "pool" or "helper"
)

// The making and the removal of a container are bounded also when nobody waits
// for them.
const (
	createTimeout = 15 * time.Second
	removeTimeout = time.Minute
)

// Config is what a Backend needs to know.
type Config struct {
	Host     string            // the engine's address; "" = DOCKER_HOST or the usual socket
	Instance string            // names the installation: the same in all its server processes
	Process  string            // this server process
	Image    string            // the runtime image
	Agent    string            // file of the agent's binary
	Key      ed25519.PublicKey // of the instance; agents accept its manifests alone
	PoolSize int               // idle containers in all, 0 = none are made ahead
	Prewarm  executor.Spec     // what one idle container is kept for from the start
	DNS      []string          // name servers for the internet network; none = the host's public ones
	Log      *slog.Logger
}

// Backend makes containers. Its methods may be called concurrently.
type Backend struct {
	config   Config
	engine   *engine
	agent    *agentVolume
	networks *networks
	images   *images
	pool     *pool
	starts   chan struct{} // a place for each container being started

	mu     sync.Mutex
	taken  map[string]time.Time // when a container that is not destroyed was given out, by id
	unkept map[string]bool      // containers that were to be removed and could not be, by id

	created, destroyed atomic.Uint64
}

// New makes a backend and does not ask the engine anything yet.
func New(config Config) (*Backend, error) {
	e, err := newEngine(config.Host)
	if err != nil {
		return nil, err
	}
	b := &Backend{
		config: config, engine: e, taken: map[string]time.Time{}, unkept: map[string]bool{},
		// More at once than there are processors only makes each take longer.
		starts: make(chan struct{}, runtime.NumCPU()+1),
	}
	b.agent, err = newAgentVolume(e, config.Agent, b.labels("helper", nil))
	if err != nil {
		return nil, err
	}
	b.networks = newNetworks(b)
	b.images = newImages(e)
	b.pool = newPool(b)
	return b, nil
}

// labels are a container's, purpose and more included.
func (b *Backend) labels(purpose string, more map[string]string) map[string]string {
	labels := map[string]string{
		labelInstance: b.config.Instance,
		labelProcess:  b.config.Process,
		labelPurpose:  purpose,
	}
	maps.Copy(labels, more)
	return labels
}

// Create makes a container for one execution and starts its agent.
func (b *Backend) Create(ctx context.Context, spec executor.Spec, progress func(string)) (executor.Place, error) {
	s := b.shapeOf(spec)
	defer b.pool.creating()()
	labels := b.labels("run", map[string]string{labelExecution: spec.ExecutionID.String()})
	p, err := b.make(ctx, s, labels)
	if errors.Is(err, errNoImage) {
		if err = b.pull(ctx, s.image, progress); err == nil {
			p, err = b.make(ctx, s, labels)
		}
	}
	if err != nil {
		return nil, public(err, s)
	}
	b.take(p)
	return p, nil
}

// Warm takes an idle container from the pool.
func (b *Backend) Warm(spec executor.Spec) executor.Place {
	p := b.pool.take(b.shapeOf(spec))
	if p == nil {
		return nil
	}
	b.take(p)
	return p
}

// DropWarm lets go of all idle containers.
func (b *Backend) DropWarm() { b.pool.dropAll() }

// Find finds a container by its Ref.
func (b *Backend) Find(ctx context.Context, ref string) (executor.Place, error) {
	id, instance, ok := strings.Cut(ref, "/")
	if !ok || len(id) < 12 || instance == "" {
		return nil, fmt.Errorf("%w: %q names no container", executor.ErrGone, ref)
	}
	s, err := b.engine.inspect(ctx, id)
	if errors.Is(err, errAbsent) || err == nil && (!s.running || s.labels[labelInstance] != b.config.Instance) {
		return nil, fmt.Errorf("%w: container %.12s does not run (%s)", executor.ErrGone, id, s.ending())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", executor.ErrUnavailable, err)
	}
	p := &place{backend: b, id: s.id, instance: instance, target: s.labels[labelTarget]}
	p.warm = s.labels[labelPurpose] == "pool"
	b.take(p)
	return p, nil
}

// make makes a container and waits until its agent has answered.
func (b *Backend) make(ctx context.Context, s shape, labels map[string]string) (*place, error) {
	p, err := b.tryMake(ctx, s, labels)
	if err != nil && strings.Contains(err.Error(), agentPath) && ctx.Err() == nil {
		b.agent.doubt() // somebody removed the volume and the engine made an empty one
		p, err = b.tryMake(ctx, s, labels)
	}
	return p, err
}

func (b *Backend) tryMake(ctx context.Context, s shape, labels map[string]string) (*place, error) {
	image, err := b.images.get(ctx, s.image)
	if err != nil {
		return nil, err
	}
	volume, err := b.agent.ensure(ctx, s.image)
	if err != nil {
		return nil, err
	}
	target := "container-" + cronium.NewID().String()
	labels = maps.Clone(labels)
	labels[labelTarget] = target
	plan := s.plan(serveCommand(target, b.config.Key), volume, labels)
	plan.declared = image.volumes
	if plan.network, plan.dns, err = b.networks.ensure(ctx, s.network, s.image); err != nil {
		return nil, err
	}
	select {
	case b.starts <- struct{}{}:
		defer func() { <-b.starts }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for other containers to be started: %w", ctx.Err())
	}
	id, err := b.engine.create(ctx, plan)
	if err != nil {
		b.images.drop() // it may have been removed
		return nil, err
	}
	b.created.Add(1)
	p, err := b.boot(ctx, id)
	if err != nil {
		b.discard(ctx, id)
		return nil, err
	}
	p.target, p.shape, p.image = target, s, image.id
	return p, nil
}

// boot starts a container with its standard streams attached.
func (b *Backend) boot(ctx context.Context, id string) (*place, error) {
	s, err := b.engine.attach(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := b.engine.start(ctx, id); err != nil {
		s.Close()
		return nil, err
	}
	link, err := executor.Connect(ctx, s)
	if err != nil {
		err = fmt.Errorf("the agent in container %.12s did not answer: %w (it said: %q)", id, err, s.tail())
		return nil, b.whyNot(ctx, id, err)
	}
	return &place{backend: b, id: id, instance: link.Info.GetInstance(), link: link}, nil
}

// whyNot tells an agent that cannot work in its container, and ended by itself,
// from one that was ended from outside or cut off: by an engine that stops, say,
// or a machine that is too busy. Another try makes sense then.
func (b *Backend) whyNot(ctx context.Context, id string, cause error) error {
	s, err := b.engine.inspect(ctx, id)
	if err == nil && !s.running && (s.oom || s.exitCode != 0 && s.exitCode != 128+int(unix.SIGTERM) && s.exitCode != 128+int(unix.SIGKILL)) {
		return cause
	}
	return fmt.Errorf("%w: %w", errNoAnswer, cause)
}

// discard removes a container for whose removal nobody waits. What cannot be
// removed now is removed by a sweep.
func (b *Backend) discard(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	if err := b.engine.remove(ctx, id); err != nil {
		b.config.Log.WarnContext(ctx, "container was not removed; a sweep will", "container", id, "error", err)
		b.leave(id)
		return
	}
	b.forget(id)
}

func (b *Backend) take(p *place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken[p.id] = time.Now()
}

// leave leaves the removal of a container to the next sweep.
func (b *Backend) leave(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unkept[id] = true
}

// forget notes that a container was removed.
func (b *Backend) forget(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.taken, id)
	delete(b.unkept, id)
	b.destroyed.Add(1)
}
