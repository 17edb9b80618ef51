package process

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// proc is one process as /proc shows it.
type proc struct {
	pid, parent, session int
	zombie               bool
	cpuTicks             uint64 // user and system
	started              uint64 // clock ticks since boot: with the pid, names a process for good
	rssPages             int64
}

// scan lists every process that this one can see.
func scan() map[int]proc {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	all := make(map[int]proc, len(names))
	buf := make([]byte, 1024)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, ok := readProc(pid, buf); ok {
			all[pid] = p
		}
	}
	return all
}

// readProc reads /proc/PID/stat; false if there is no such process (any more).
// It is called for every process of the machine at the end of every script, so
// it goes to the system without os.File in between.
func readProc(pid int, buf []byte) (proc, bool) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return proc{}, false
	}
	n, err := unix.Read(fd, buf)
	unix.Close(fd)
	if err != nil || n <= 0 {
		return proc{}, false
	}
	// The name in parentheses may itself hold spaces and parentheses.
	close := bytes.LastIndexByte(buf[:n], ')')
	if close < 0 {
		return proc{}, false
	}
	fields := bytes.Fields(buf[close+1 : n])
	if len(fields) < 22 {
		return proc{}, false
	}
	number := func(i int) uint64 { // i counts as in proc(5), where the state is 3
		v, _ := strconv.ParseUint(string(fields[i-3]), 10, 64)
		return v
	}
	return proc{
		pid: pid, parent: int(number(4)), session: int(number(6)),
		zombie:   fields[0][0] == 'Z' || fields[0][0] == 'X',
		cpuTicks: number(14) + number(15),
		started:  number(22),
		rssPages: int64(number(24)),
	}, true
}

// marked tells whether the environment that a process was started with holds
// an entry.
func marked(pid int, mark string) bool {
	if mark == "" {
		return false
	}
	environ, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if string(entry) == mark {
			return true
		}
	}
	return false
}

// withDescendants adds to the set every process that comes from one in it.
func withDescendants(all map[int]proc, set map[int]bool) {
	for grown := true; grown; {
		grown = false
		for pid, p := range all {
			if !set[pid] && set[p.parent] {
				set[pid] = true
				grown = true
			}
		}
	}
}
