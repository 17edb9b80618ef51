package program

import (
	"runtime"
	"sync"
)

// spareThreads is how many threads an agent holds ready: one for each system call
// that may block at once (waiting for processes, fsync, pipes) and for the
// runtime's own.
const spareThreads = 16

// holdThreads makes threads ahead. They count as processes of the container or
// of the user, and when a script has used up that limit (a fork bomb) no more can
// be had: the Go runtime would give up, and the agent with it. Threads once made
// are kept by the runtime and used again.
func holdThreads(n int) {
	var made, ended sync.WaitGroup
	release := make(chan struct{})
	made.Add(n)
	for range n {
		ended.Go(func() {
			runtime.LockOSThread() // forces a thread for each
			defer runtime.UnlockOSThread()
			made.Done()
			<-release
		})
	}
	made.Wait()
	close(release)
	ended.Wait()
}
