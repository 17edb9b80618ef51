package jobs

import (
	"context"
	"slices"
	"sync"
	"testing"

	"cronium.dev/cronium"
)

func TestNoProcessIsTakenForDeadWhileItStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	watcher, err := newProcessLock(dir, cronium.NewID())
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.release()
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	var mu sync.Mutex
	var dead []cronium.ID
	for range 2 {
		watching.Go(func() {
			for ctx.Err() == nil {
				found := watcher.dead()
				mu.Lock()
				dead = append(dead, found...)
				mu.Unlock()
			}
		})
	}
	for range 300 {
		lock, err := newProcessLock(dir, cronium.NewID())
		if err != nil {
			t.Error(err)
			break
		}
		defer lock.release()
	}
	killed, err := newProcessLock(dir, cronium.NewID())
	if err != nil {
		t.Fatal(err)
	}
	killed.file.Close() // as the kernel does
	stop()
	watching.Wait()
	if found := watcher.dead(); !slices.Equal(found, []cronium.ID{killed.id}) {
		t.Errorf("dead are %v, want the one that was killed", found)
	}
	for _, id := range dead {
		if id != killed.id {
			t.Fatal("a living process was taken for dead")
		}
	}
}
