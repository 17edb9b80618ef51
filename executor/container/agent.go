package container

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"sync"
	"time"

	"cronium.dev/executor"
)

// purposeAgent labels the volumes of agents.
const purposeAgent = "agent"

// oldAgent is the age at which a volume that no container has and that is not
// this release's is removed. Should a server of its release still run, it makes
// the volume again.
const oldAgent = 24 * time.Hour

// fillTimeout is how long another server may take to fill the volume before
// its unfinished work is removed.
const fillTimeout = time.Minute

// idleExit ends the agent, and so the container, of an engine that was killed and
// has forgotten it: nobody is connected and it never had a script.
const idleExit = 10 * time.Minute

// serveCommand is PID 1 of a script's container.
func serveCommand(target string, key ed25519.PublicKey) []string {
	return []string{
		agentPath, "serve", "--stdio", "--single",
		"--target", target,
		"--public-key", base64.StdEncoding.EncodeToString(key),
		"--spool", spoolDir,
		"--work", workDir,
		"--socket", socketPath,
		"--idle-exit", idleExit.String(),
	}
}

// connectCommand joins its standard streams to the agent of its container:
// process 1 and no other that listens in its place.
func connectCommand() []string {
	return []string{agentPath, "connect", "--socket", socketPath, "--peer", "1"}
}

// agentVolume is the engine's volume that holds the agent. Its name is the
// binary's digest, so servers of different releases do not share one.
type agentVolume struct {
	engine *engine
	file   string // the binary on this machine
	digest string // hex SHA-256
	labels map[string]string

	mu    sync.Mutex
	ready bool
}

func newAgentVolume(e *engine, file string, labels map[string]string) (*agentVolume, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open the agent's binary: %w", err)
	}
	defer f.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, f); err != nil {
		return nil, fmt.Errorf("read the agent's binary: %w", err)
	}
	return &agentVolume{engine: e, file: file, digest: hex.EncodeToString(digest.Sum(nil)), labels: labels}, nil
}

func (v *agentVolume) name() string { return "cronium-agent-" + v.digest[:16] }

// doubt has the next ensure check again.
func (v *agentVolume) doubt() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ready = false
}

// ensure makes and fills the volume unless that was seen to be done. An image
// is needed for the container, never started, through which files get there.
func (v *agentVolume) ensure(ctx context.Context, image string) (name string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ready {
		return v.name(), nil
	}
	if err := v.fill(ctx, image); err != nil {
		return "", fmt.Errorf("put the agent into the engine: %w", err)
	}
	v.ready = true
	return v.name(), nil
}

func (v *agentVolume) fill(ctx context.Context, image string) error {
	if err := v.engine.makeVolume(ctx, v.name(), map[string]string{labelPurpose: purposeAgent}); err != nil {
		return err
	}
	// The helper's name is the lock between servers.
	p := plan{
		name: v.name() + "-fill", image: image, command: []string{agentPath},
		user: "0:0", network: "none", labels: v.labels, volume: v.name(), writable: true,
	}
	id, err := v.createAlone(ctx, p)
	if err != nil {
		return err
	}
	defer v.engine.remove(context.WithoutCancel(ctx), id)
	if found, err := v.found(ctx, id); err != nil || found {
		return err
	}
	files, err := v.tar()
	if err != nil {
		return err
	}
	if err := v.engine.copyTo(ctx, id, agentDir, files); err != nil {
		return err
	}
	if found, err := v.found(ctx, id); err != nil || !found {
		return fmt.Errorf("the agent in volume %s is not what was copied there (%w)", v.name(), err)
	}
	return nil
}

// createAlone makes the helper, waiting while another server has one.
func (v *agentVolume) createAlone(ctx context.Context, p plan) (id string, err error) {
	for {
		id, err := v.engine.create(ctx, p)
		if !errors.Is(err, errConflict) {
			return id, err
		}
		other, inspectErr := v.engine.inspect(ctx, p.name)
		if inspectErr == nil && time.Since(other.created) > fillTimeout {
			if err := v.engine.remove(ctx, other.id); err != nil {
				return "", err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("wait for another server to fill the volume: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// found tells whether the volume holds the agent, whole.
func (v *agentVolume) found(ctx context.Context, id string) (bool, error) {
	body, err := v.engine.copyFrom(ctx, id, agentPath)
	if errors.Is(err, errAbsent) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer body.Close()
	files, digest := tar.NewReader(body), sha256.New()
	head, err := files.Next()
	if err != nil {
		return false, cutShort(err)
	}
	if _, err := io.Copy(digest, files); err != nil {
		return false, cutShort(err)
	}
	return head.Mode&0o111 == 0o111 && hex.EncodeToString(digest.Sum(nil)) == v.digest, nil
}

// cutShort is why the engine's answer did not come whole: an engine that ends in
// the middle of it is back later.
func cutShort(err error) error {
	return fmt.Errorf("read the agent's volume: %w: %w", executor.ErrUnavailable, err)
}

// sweep removes the volumes of other releases that are not used any more.
func (v *agentVolume) sweep(ctx context.Context) error {
	found, err := v.engine.volumes(ctx, labelPurpose, purposeAgent)
	if err != nil {
		return err
	}
	for name, made := range found {
		if name == v.name() || time.Since(made) < oldAgent {
			continue
		}
		if err := v.engine.removeVolume(ctx, name); err != nil && !errors.Is(err, errConflict) && !errors.Is(err, errAbsent) {
			return err
		}
	}
	return nil
}

// tar packs the binary for the volume's folder.
func (v *agentVolume) tar() (io.Reader, error) {
	binary, err := os.ReadFile(v.file)
	if err != nil {
		return nil, fmt.Errorf("read the agent's binary: %w", err)
	}
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	head := tar.Header{Name: path.Base(agentPath), Mode: 0o555, Size: int64(len(binary)), Typeflag: tar.TypeReg}
	if err := errors.Join(w.WriteHeader(&head), write(w, binary), w.Close()); err != nil {
		return nil, fmt.Errorf("pack the agent's binary: %w", err)
	}
	return &packed, nil
}

func write(w io.Writer, data []byte) error {
	_, err := w.Write(data)
	return err
}
