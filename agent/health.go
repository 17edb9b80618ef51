package agent

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentproto "cronium.dev/agent/proto"
)

// How often a client of Health may be told.
const (
	healthInterval = 15 * time.Second // unless it asks for another
	healthShortest = time.Second
	healthLongest  = 5 * time.Minute
)

// Health implements the service. Reading a sample costs a few system calls.
func (a *Agent) Health(r *agentproto.HealthRequest, stream grpc.ServerStreamingServer[agentproto.HealthSample]) error {
	interval := time.Duration(r.GetIntervalMs()) * time.Millisecond
	if interval == 0 {
		interval = healthInterval
	}
	if interval < healthShortest || interval > healthLongest {
		return status.Errorf(codes.InvalidArgument, "the interval is %s; it must be between %s and %s", interval, healthShortest, healthLongest)
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := stream.Send(a.sample()); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-stream.Context().Done():
			return nil
		}
	}
}

// sample is how the machine is now. What cannot be read is left zero: a machine
// without /proc/loadavg still has a disk.
func (a *Agent) sample() *agentproto.HealthSample {
	s := &agentproto.HealthSample{
		Cpus:        int32(runtime.NumCPU()),
		Platform:    platform(),
		ClockUnixMs: time.Now().UnixMilli(),
	}
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Sscan(string(raw), &s.Load1)
	}
	if raw, err := os.ReadFile("/proc/meminfo"); err == nil {
		s.MemoryTotal, s.MemoryAvailable = memory(raw)
	}
	if raw, err := os.ReadFile("/proc/uptime"); err == nil {
		var seconds float64
		fmt.Sscan(string(raw), &seconds)
		s.UptimeS = int64(seconds)
	}
	var disk unix.Statfs_t
	if unix.Statfs(a.config.Spool, &disk) == nil {
		s.DiskTotal, s.DiskAvailable = int64(disk.Blocks)*disk.Bsize, int64(disk.Bavail)*disk.Bsize
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.executions {
		if e.finished() == nil {
			s.Running++
		}
	}
	return s
}

// memory reads MemTotal and MemAvailable of /proc/meminfo, in bytes. Kernels
// older than 3.14 have no MemAvailable; what is free and what is cached stand in
// for it.
func memory(meminfo []byte) (total, available int64) {
	var free, cached int64
	for lines := bufio.NewScanner(bytes.NewReader(meminfo)); lines.Scan(); {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			continue
		}
		switch name {
		case "MemTotal":
			total = kib << 10
		case "MemAvailable":
			available = kib << 10
		case "MemFree":
			free = kib << 10
		case "Cached":
			cached = kib << 10
		}
	}
	if available == 0 {
		available = free + cached
	}
	return total, available
}

// platform names the distribution and the kernel, as /etc/os-release and uname
// do.
func platform() string {
	name := runtime.GOOS
	if raw, err := os.ReadFile("/etc/os-release"); err == nil {
		if pretty := prettyName(raw); pretty != "" {
			name = pretty
		}
	}
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return name
	}
	return name + ", " + unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}

// prettyName reads PRETTY_NAME, which os-release(5) writes as a shell would.
func prettyName(release []byte) string {
	for lines := bufio.NewScanner(bytes.NewReader(release)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "PRETTY_NAME="); ok {
			return strings.Trim(value, `"'`)
		}
	}
	return ""
}
