package agent_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	agentproto "cronium.dev/agent/proto"
)

// BenchmarkStart measures a Start whose files are in the cache, from the call to
// the answer: the process runs then.
func BenchmarkStart(b *testing.B) {
	m := newMachine(b)
	client := m.client()
	var setup int64
	for b.Loop() {
		j := script("/bin/true", "")
		if _, err := m.startJob(client, j); err != nil {
			b.Fatal(err)
		}
		f := follow(b, client, j.ExecutionId, 0)
		setup += f.end().GetSetupUs()
	}
	b.ReportMetric(float64(setup)/float64(b.N), "setup-µs/op")
	b.ReportMetric(processorTime(b, m.process.Process.Pid).Seconds()*1e6/float64(b.N), "agent-cpu-µs/op")
}

// BenchmarkFirstByte measures from Start to the script's first byte.
func BenchmarkFirstByte(b *testing.B) {
	m := newMachine(b)
	client := m.client()
	for b.Loop() {
		j := script("/bin/echo", "")
		if _, err := m.startJob(client, j); err != nil {
			b.Fatal(err)
		}
		f := follow(b, client, j.ExecutionId, 0)
		f.untilOutput("main")
		f.cancel()
	}
}

// BenchmarkOutput measures a script that prints as fast as it can, to a server
// that takes all at once.
func BenchmarkOutput(b *testing.B) {
	const size = 400 << 20
	m := newMachine(b)
	client := m.client()
	b.SetBytes(size)
	for b.Loop() {
		j := script("bash", fmt.Sprintf("head -c %d /dev/zero", size))
		m.mustStart(client, j)
		f := follow(b, client, j.ExecutionId, 0)
		f.ignore = true
		f.end()
		if f.offset != size {
			b.Fatalf("%d bytes came", f.offset)
		}
	}
	b.ReportMetric(float64(residentMemory(b, m.process.Process.Pid))/(1<<20), "MiB-rss")
	cpu := processorTime(b, m.process.Process.Pid).Seconds()
	b.ReportMetric(float64(b.N)*size/1e6/cpu, "MB/agent-cpu-s")
}

// processorTime is what a process, without its children, has used.
func processorTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	var ticks int64
	for _, field := range fields[13:15] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// BenchmarkIdle reports the memory of an agent that waits.
func BenchmarkIdle(b *testing.B) {
	m := newMachine(b)
	m.client().Info(b.Context(), &agentproto.InfoRequest{})
	for b.Loop() {
		time.Now()
	}
	b.ReportMetric(float64(residentMemory(b, m.process.Process.Pid))/(1<<20), "MiB-rss")
}

// residentMemory is in bytes.
func residentMemory(t testing.TB, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
