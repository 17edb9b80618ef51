package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"

	"cronium.dev/executor"
)

// This file alone knows the engine's client library. The rest of the package
// speaks of plans, streams and states.

// What the engine's answers mean for the rest of the package, beside
// executor.ErrUnavailable: the engine does not answer.
var (
	errAbsent   = errors.New("there is no such thing in the engine") // container, image, network or volume
	errConflict = errors.New("the engine's state does not allow it") // name taken, not running, in use
	errNoImage  = errors.New("the engine does not have the image")
)

// engine is a container engine that speaks Docker's API.
type engine struct{ client *client.Client }

// newEngine makes a client for the engine at host ("" = DOCKER_HOST or the
// usual socket). It does not connect yet.
func newEngine(host string) (*engine, error) {
	options := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if host != "" {
		options = append(options, client.WithHost(host))
	}
	c, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, fmt.Errorf("make a client for the container engine: %w", err)
	}
	return &engine{client: c}, nil
}

func (e *engine) close() { _ = e.client.Close() } // idle connections only

// fail says what was being done and what the engine's answer means.
func fail(err error, format string, args ...any) error {
	doing := fmt.Sprintf(format, args...)
	var broken *net.OpError // of calls that keep their connection
	switch {
	case err == nil:
		return nil
	case client.IsErrConnectionFailed(err), errors.As(err, &broken):
		return fmt.Errorf("%s: %w: %w", doing, executor.ErrUnavailable, err)
	case errdefs.IsNotFound(err):
		return fmt.Errorf("%s: %w: %w", doing, errAbsent, err)
	case errdefs.IsConflict(err):
		return fmt.Errorf("%s: %w: %w", doing, errConflict, err)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: the engine hung up: %w: %w", doing, executor.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// create makes a container and does not start it. The end of ctx does not cut it
// short: the engine would make the container all the same, and nobody would know
// its id. It fails with errNoImage where that is missing.
func (e *engine) create(ctx context.Context, p plan) (id string, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), createTimeout)
	defer cancel()
	no, pids := false, &p.processes
	if p.processes == 0 {
		pids = nil
	}
	made, err := e.client.ContainerCreate(ctx, &container.Config{
		Image:        p.image,
		Entrypoint:   p.command,
		Cmd:          []string{},
		User:         p.user,
		WorkingDir:   p.workdir,
		Hostname:     "cronium",
		Labels:       p.labels,
		Healthcheck:  &container.HealthConfig{Test: []string{"NONE"}},
		OpenStdin:    true,
		AttachStdin:  true,
		AttachStdout: true,
		AttachStderr: true,
	}, &container.HostConfig{
		NetworkMode:    container.NetworkMode(p.network),
		DNS:            p.dns,
		LogConfig:      container.LogConfig{Type: "none"},
		IpcMode:        container.IPCModePrivate,
		CapDrop:        []string{"ALL"},
		CapAdd:         p.capabilities,
		SecurityOpt:    []string{"no-new-privileges:true"},
		ReadonlyRootfs: true,
		Init:           &no,
		Tmpfs:          p.tmpfs,
		ShmSize:        p.sharedMemory,
		Mounts:         p.mounts(),
		Resources: container.Resources{
			Memory: p.memory, MemorySwap: p.memory, NanoCPUs: p.nanoCPUs, PidsLimit: pids,
		},
	}, nil, nil, p.name)
	if err = fail(err, "create a container of %s", p.image); errors.Is(err, errAbsent) && strings.Contains(err.Error(), "No such image") {
		err = fmt.Errorf("%w: %w", errNoImage, err)
	}
	return made.ID, err
}

// mounts are the agent's volume and, in bounded memory, what the image declares
// as volumes: those the engine would put on its disk, without bound.
func (p plan) mounts() []mount.Mount {
	all := []mount.Mount{{
		Type: mount.TypeVolume, Source: p.volume, Target: agentDir, ReadOnly: !p.writable,
		VolumeOptions: &mount.VolumeOptions{NoCopy: true},
	}}
	for _, folder := range p.declared {
		if _, ours := p.tmpfs[folder]; !ours && folder != agentDir {
			all = append(all, mount.Mount{
				Type: mount.TypeTmpfs, Target: folder,
				TmpfsOptions: &mount.TmpfsOptions{SizeBytes: tempBytes, Mode: 0o1777},
			})
		}
	}
	return all
}

// attach opens PID 1's standard streams.
func (e *engine) attach(ctx context.Context, id string) (*stream, error) {
	h, err := e.client.ContainerAttach(ctx, id, container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return nil, fail(err, "attach to container %.12s", id)
	}
	return newStream(h.Conn, h.Reader), nil
}

func (e *engine) start(ctx context.Context, id string) error {
	return fail(e.client.ContainerStart(ctx, id, container.StartOptions{}), "start container %.12s", id)
}

// wait waits for the container's end and gives its exit code.
func (e *engine) wait(ctx context.Context, id string) (int, error) {
	ended, failed := e.client.ContainerWait(ctx, id, container.WaitConditionNextExit)
	select {
	case end := <-ended:
		return int(end.StatusCode), nil
	case err := <-failed:
		return 0, fail(err, "wait for container %.12s", id)
	}
}

// exec starts a command in a running container, as the container's own user,
// and gives its standard streams.
func (e *engine) exec(ctx context.Context, id string, command []string) (*stream, error) {
	made, err := e.client.ContainerExecCreate(ctx, id, container.ExecOptions{
		Cmd: command, AttachStdin: true, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return nil, fail(err, "prepare a command in container %.12s", id)
	}
	h, err := e.client.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{})
	if err != nil {
		return nil, fail(err, "start a command in container %.12s", id)
	}
	return newStream(h.Conn, h.Reader), nil
}

// remove kills the container if it runs and removes it with what it wrote. A
// container that is gone is removed.
func (e *engine) remove(ctx context.Context, id string) error {
	err := fail(e.client.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true}),
		"remove container %.12s", id)
	if errors.Is(err, errAbsent) || errors.Is(err, errConflict) && strings.Contains(err.Error(), "already in progress") {
		return nil
	}
	return err
}

func (e *engine) inspect(ctx context.Context, id string) (state, error) {
	c, err := e.client.ContainerInspect(ctx, id)
	if err != nil {
		return state{}, fail(err, "inspect container %.12s", id)
	}
	s := state{id: c.ID, labels: c.Config.Labels}
	s.created, _ = time.Parse(time.RFC3339Nano, c.Created) // the zero time is old, which is safe
	if c.State != nil {
		s.running, s.paused, s.oom = c.State.Running, c.State.Paused, c.State.OOMKilled
		s.exitCode, s.message = c.State.ExitCode, c.State.Error
	}
	return s, nil
}

// list gives all containers with the label, running or not.
func (e *engine) list(ctx context.Context, label, value string) ([]state, error) {
	found, err := e.client.ContainerList(ctx, container.ListOptions{
		All: true, Filters: filters.NewArgs(filters.Arg("label", label+"="+value)),
	})
	if err != nil {
		return nil, fail(err, "list containers")
	}
	states := make([]state, len(found))
	for i, c := range found {
		states[i] = state{id: c.ID, labels: c.Labels, running: c.State == "running", created: time.Unix(c.Created, 0)}
	}
	return states, nil
}

// imageInfo is what matters of an image.
type imageInfo struct {
	id      string   // its digest
	volumes []string // folders that it declares as such
}

// image gives the image that a name stands for now. It fails with errNoImage.
func (e *engine) image(ctx context.Context, name string) (imageInfo, error) {
	i, err := e.client.ImageInspect(ctx, name)
	if err = fail(err, "inspect image %s", name); errors.Is(err, errAbsent) {
		err = fmt.Errorf("%w: %w", errNoImage, err)
	}
	info := imageInfo{id: i.ID}
	if i.Config != nil {
		info.volumes = slices.Sorted(maps.Keys(i.Config.Volumes))
	}
	return info, err
}

// pull fetches an image and tells each new step, like "Downloading 3f2a…".
func (e *engine) pull(ctx context.Context, name string, step func(layer, status string, done, total int64)) error {
	body, err := e.client.ImagePull(ctx, name, image.PullOptions{})
	if err != nil {
		return fail(err, "pull image %s", name)
	}
	defer body.Close()
	for lines := json.NewDecoder(body); ; {
		var line struct {
			ID             string `json:"id"`
			Status         string `json:"status"`
			ProgressDetail struct{ Current, Total int64 }
			Error          string `json:"error"`
		}
		if err := lines.Decode(&line); err == io.EOF {
			return nil
		} else if err != nil {
			return fail(err, "pull image %s", name)
		}
		if line.Error != "" {
			return fmt.Errorf("pull image %s: %s", name, line.Error)
		}
		step(line.ID, line.Status, line.ProgressDetail.Current, line.ProgressDetail.Total)
	}
}

// makeVolume makes a named volume, or finds it.
func (e *engine) makeVolume(ctx context.Context, name string, labels map[string]string) error {
	_, err := e.client.VolumeCreate(ctx, volume.CreateOptions{Name: name, Labels: labels})
	return fail(err, "make volume %s", name)
}

// volumes lists the named volumes with a label and when they were made.
func (e *engine) volumes(ctx context.Context, label, value string) (map[string]time.Time, error) {
	found, err := e.client.VolumeList(ctx, volume.ListOptions{Filters: filters.NewArgs(filters.Arg("label", label+"="+value))})
	if err != nil {
		return nil, fail(err, "list volumes")
	}
	made := map[string]time.Time{}
	for _, v := range found.Volumes {
		if at, err := time.Parse(time.RFC3339, v.CreatedAt); err == nil {
			made[v.Name] = at
		}
	}
	return made, nil
}

// removeVolume fails with errConflict while a container has the volume.
func (e *engine) removeVolume(ctx context.Context, name string) error {
	return fail(e.client.VolumeRemove(ctx, name, false), "remove volume %s", name)
}

// copyTo unpacks a tar stream into a folder of a container.
func (e *engine) copyTo(ctx context.Context, id, folder string, tar io.Reader) error {
	return fail(e.client.CopyToContainer(ctx, id, folder, tar, container.CopyToContainerOptions{}),
		"copy files into container %.12s", id)
}

// copyFrom gives a file of a container as a tar stream.
func (e *engine) copyFrom(ctx context.Context, id, file string) (io.ReadCloser, error) {
	body, _, err := e.client.CopyFromContainer(ctx, id, file)
	return body, fail(err, "copy %s out of container %.12s", file, id)
}

// bridge is a network of the engine's machine.
type bridge struct {
	options map[string]string
	ipv6    bool
	driver  string
}

func (e *engine) bridge(ctx context.Context, name string) (bridge, error) {
	n, err := e.client.NetworkInspect(ctx, name, network.InspectOptions{})
	return bridge{options: n.Options, ipv6: n.EnableIPv6, driver: n.Driver}, fail(err, "inspect network %s", name)
}

func (e *engine) makeBridge(ctx context.Context, name string, options, labels map[string]string) error {
	no := false
	_, err := e.client.NetworkCreate(ctx, name, network.CreateOptions{
		Driver: "bridge", EnableIPv6: &no, Options: options, Labels: labels,
	})
	return fail(err, "make network %s", name)
}

// event is something that happened to a container or an image.
type event struct {
	image  bool   // else a container
	action string // "die", "oom", "destroy"; "tag", "delete", …
	id     string
}

// events calls seen for what happens, after connected, until the stream breaks.
func (e *engine) events(ctx context.Context, connected func(), seen func(event)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The version is agreed on first, because Events reads it without a lock.
	if _, err := e.client.ServerVersion(ctx); err != nil {
		return fail(err, "ask the engine whether it answers")
	}
	messages, failed := e.client.Events(ctx, events.ListOptions{Filters: filters.NewArgs(
		filters.Arg("type", "container"), filters.Arg("event", "die"), filters.Arg("event", "destroy"),
		filters.Arg("type", "image"), filters.Arg("event", "tag"), filters.Arg("event", "untag"),
		filters.Arg("event", "delete"), filters.Arg("event", "pull"), filters.Arg("event", "load"), filters.Arg("event", "import"),
	)})
	connected()
	for {
		select {
		case m := <-messages:
			seen(event{image: m.Type == events.ImageEventType, action: string(m.Action), id: m.Actor.ID})
		case err := <-failed:
			return fail(err, "follow the engine's events")
		}
	}
}

// versions is what an engine says of itself.
type versions struct{ engine, api, runc string }

func (e *engine) versions(ctx context.Context) (versions, error) {
	v, err := e.client.ServerVersion(ctx)
	if err != nil {
		return versions{}, fail(err, "ask the engine for its version")
	}
	said := versions{engine: v.Version, api: e.client.ClientVersion()}
	for _, c := range v.Components {
		if c.Name == "runc" {
			said.runc = c.Version
		}
	}
	return said, nil
}
