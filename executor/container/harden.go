package container

import (
	"fmt"
	"strconv"

	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// Paths in a container.
const (
	agentDir   = "/opt/cronium" // the agent's volume
	agentPath  = agentDir + "/cronium-agent"
	workDir    = "/work"
	spoolDir   = "/spool"
	socketPath = spoolDir + "/agent.sock"
)

// scriptUser is who agent and script are: nobody on any host.
const scriptUser = "65532"

// What the agent needs beside what the script may use.
const (
	overheadMemory    = 48 << 20 // the agent (about 12 MiB) and its spool
	overheadProcesses = 32       // threads of the agent and of `connect`
	overheadDisk      = 2 << 20  // the helper libraries, beside the script's files
	spoolBytes        = 16 << 20 // unacknowledged output (8 MiB) and ends
	tempBytes         = 16 << 20 // /tmp
	sharedBytes       = 64 << 20 // /dev/shm, the engine's default; memory bounds it too
)

// shape is what makes containers interchangeable: all that is fixed when one
// is made. The pool is keyed by it.
type shape struct {
	image     string
	network   cronium.Network
	memoryMiB int
	diskMiB   int
	processes int
	cpus      float64
}

func (b *Backend) shapeOf(spec executor.Spec) shape {
	s := shape{
		image:     spec.Image,
		network:   spec.Network,
		memoryMiB: spec.Limits.MemoryMiB,
		diskMiB:   spec.Limits.DiskMiB,
		processes: spec.Limits.Processes,
		cpus:      spec.Limits.CPUs,
	}
	if s.image == "" {
		s.image = b.config.Image
	}
	return s
}

// plan makes the plan of a script's container: no user of this host, no
// capability, no way to gain one, nothing writable but memory that is bounded.
func (s shape) plan(command []string, volume string, labels map[string]string) plan {
	return plan{
		image:        s.image,
		command:      command,
		user:         scriptUser + ":" + scriptUser,
		workdir:      workDir,
		labels:       labels,
		volume:       volume,
		memory:       int64(s.memoryMiB)<<20 + overheadMemory,
		nanoCPUs:     int64(s.cpus * 1e9),
		processes:    int64(s.processes) + overheadProcesses,
		sharedMemory: min(sharedBytes, int64(s.memoryMiB)<<20),
		tmpfs: map[string]string{
			workDir:  tmpfs("exec", "0700", int64(s.diskMiB)<<20+overheadDisk),
			spoolDir: tmpfs("noexec", "0700", spoolBytes),
			"/tmp":   tmpfs("exec", "1777", tempBytes),
		},
	}
}

func tmpfs(exec, mode string, bytes int64) string {
	return fmt.Sprintf("rw,nosuid,nodev,%s,mode=%s,uid=%s,gid=%s,size=%s",
		exec, mode, scriptUser, scriptUser, strconv.FormatInt(bytes, 10))
}
