package container

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"

	"cronium.dev/cronium"
)

// Beside engine.go this file alone uses the engine's client library: for what
// people do behind the backend's back.

// copyWith copies a program and adds bytes that it does not mind.
func copyWith(t *testing.T, from, to, more string) {
	t.Helper()
	program, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, append(program, more...), 0o700); err != nil {
		t.Fatal(err)
	}
}

// removeVolume removes the agent's volume.
func removeVolume(t *testing.T, b *Backend) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.engine.removeVolume(ctx, b.agent.name()); err != nil {
		t.Fatalf("remove the volume: %v", err)
	}
}

// removeImage removes an image's name when the test ends.
func removeImage(t *testing.T, b *Backend, name string) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := b.engine.client.ImageRemove(ctx, name, image.RemoveOptions{Force: true}); err != nil {
			t.Errorf("remove image %s: %v", name, err)
		}
	})
}

// emptyImage makes an image with a single empty folder in it.
func emptyImage(t *testing.T, b *Backend) (name string) {
	t.Helper()
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	if err := w.WriteHeader(&tar.Header{Name: "srv/", Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	name = "cronium-test-empty:" + cronium.NewID().String()
	said, err := b.engine.client.ImageImport(t.Context(), image.ImportSource{Source: &files, SourceName: "-"}, name, image.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	_, _ = io.Copy(io.Discard, said)
	removeImage(t, b, name)
	return name
}

// imageWith makes an image of the runtime's with a change, like VOLUME /data.
func imageWith(t *testing.T, b *Backend, change string) (name string) {
	t.Helper()
	made, err := b.engine.client.ContainerCreate(t.Context(), &container.Config{Image: runtimeImage, Labels: b.labels("helper", nil)}, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	name = "cronium-test-changed:" + cronium.NewID().String()
	if _, err := b.engine.client.ContainerCommit(t.Context(), made.ID, container.CommitOptions{Reference: name, Changes: []string{change}}); err != nil {
		t.Fatal(err)
	}
	removeImage(t, b, name)
	return name
}

// tag gives an image another name.
func tag(t *testing.T, b *Backend, from, to string) {
	t.Helper()
	if err := b.engine.client.ImageTag(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
}
