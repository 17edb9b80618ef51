package container

import (
	"context"
	"os"
	"testing"
	"time"
)

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

// removeVolume removes the agent's volume behind the backend's back.
func removeVolume(t *testing.T, b *Backend) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.engine.removeVolume(ctx, b.agent.name()); err != nil {
		t.Fatalf("remove the volume: %v", err)
	}
}
