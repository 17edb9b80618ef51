package agent_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentproto "cronium.dev/agent/proto"
)

func TestHealthTellsHowTheMachineIs(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	stream, err := client.Health(t.Context(), &agentproto.HealthRequest{IntervalMs: 1000})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	total := int64(info.Totalram) * int64(info.Unit)
	if math.Abs(float64(first.GetMemoryTotal()-total)) > float64(total)/20 {
		t.Errorf("memory is %d bytes, the kernel says %d", first.GetMemoryTotal(), total)
	}
	if first.GetMemoryAvailable() <= 0 || first.GetMemoryAvailable() > first.GetMemoryTotal() {
		t.Errorf("%d of %d bytes of memory are available", first.GetMemoryAvailable(), first.GetMemoryTotal())
	}
	if first.GetDiskTotal() <= 0 || first.GetDiskAvailable() > first.GetDiskTotal() {
		t.Errorf("%d of %d bytes of disk are available", first.GetDiskAvailable(), first.GetDiskTotal())
	}
	if off := time.Since(time.UnixMilli(first.GetClockUnixMs())).Abs(); off > time.Minute {
		t.Errorf("the clock is off by %s", off)
	}
	if first.GetCpus() < 1 || first.GetUptimeS() < 1 || !strings.Contains(first.GetPlatform(), "Linux") {
		t.Errorf("sample %v", first)
	}
	if _, err := stream.Recv(); err != nil {
		t.Errorf("no second sample: %v", err)
	}
}

func TestHealthRefusesAnIntervalThatWouldBurden(t *testing.T) {
	t.Parallel()
	stream, err := newMachine(t).client().Health(t.Context(), &agentproto.HealthRequest{IntervalMs: 1})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("an interval of 1 ms gives %v", err)
	}
}
