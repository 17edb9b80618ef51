package jobs

import (
	"crypto/sha256"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

func TestHowLongAServerThatIsAwayIsTried(t *testing.T) {
	t.Parallel()
	wait := func(seconds int) cronium.Fleet {
		return cronium.Fleet{Strategy: cronium.StrategyAll, Offline: cronium.OfflineWait, OfflineSeconds: seconds}
	}
	fleet := func(s cronium.Strategy, o cronium.Offline) cronium.Fleet {
		return cronium.Fleet{Strategy: s, Offline: o}
	}
	for name, c := range map[string]struct {
		fleet    cronium.Fleet
		away     float64
		offline  bool
		attempts int
		want     cronium.TargetStatus
		most     time.Duration // of the wait
	}{
		"at first":                       {fleet(cronium.StrategyAll, cronium.OfflineFail), 0, false, 0, "", 2 * time.Second},
		"within the grace":               {fleet(cronium.StrategyAll, cronium.OfflineSkip), 19, false, 0, "", 2 * time.Second},
		"after the grace":                {fleet(cronium.StrategyAll, cronium.OfflineFail), 20, false, 0, cronium.TargetFailure, 0},
		"known to be offline":            {fleet(cronium.StrategyAll, cronium.OfflineFail), 0, true, 0, cronium.TargetFailure, 0},
		"skipped":                        {fleet(cronium.StrategyAll, cronium.OfflineSkip), 0, true, 0, cronium.TargetSkipped, 0},
		"not skipped when it has run":    {fleet(cronium.StrategyAll, cronium.OfflineSkip), 0, true, 1, cronium.TargetFailure, 0},
		"another will do":                {fleet(cronium.StrategyAny, cronium.OfflineFail), 0, true, 0, cronium.TargetSkipped, 0},
		"the next is tried":              {fleet(cronium.StrategyFirst, cronium.OfflineFail), 0, true, 0, cronium.TargetFailure, 0},
		"waited for though it is known":  {wait(600), 0, true, 0, "", 2 * time.Second},
		"waited for with growing pauses": {wait(600), 300, true, 0, "", 75 * time.Second},
		"waited for not beyond the time": {wait(600), 599, false, 0, "", 1020 * time.Millisecond},
		"the time is over":               {wait(600), 600, true, 0, cronium.TargetFailure, 0},
	} {
		now := &store.TargetNow{Away: c.away, Offline: c.offline}
		now.Attempts = c.attempts
		for range 50 { // the waits are spread at random
			status, pause := offline(&c.fleet, now)
			if status != c.want || pause > c.most || status == "" && pause <= 0 {
				t.Errorf("%s: %q and a wait of %s, want %q and at most %s", name, status, pause, c.want, c.most)
				break
			}
		}
	}
}

func TestOutputsAreEqualHoweverTheirStreamsMix(t *testing.T) {
	t.Parallel()
	chunk := func(s cronium.Stream, text string) cronium.Chunk { return cronium.Chunk{Stream: s, Data: []byte(text)} }
	sum := func(chunks ...cronium.Chunk) [sha256.Size]byte {
		var d digest
		for _, c := range chunks {
			d.add([]cronium.Chunk{c})
		}
		return [sha256.Size]byte(d.sum())
	}
	a := sum(chunk(cronium.Stdout, "one\n"), chunk(cronium.Stderr, "two\n"), chunk(cronium.Stdout, "three\n"))
	if b := sum(chunk(cronium.Stderr, "two\n"), chunk(cronium.Stdout, "one\nthree\n")); a != b {
		t.Error("the same text in another order of streams is another output")
	}
	for name, b := range map[string][sha256.Size]byte{
		"all on one stream": sum(chunk(cronium.Stdout, "one\ntwo\nthree\n")),
		"streams swapped":   sum(chunk(cronium.Stdout, "two\n"), chunk(cronium.Stderr, "one\nthree\n")),
		"nothing":           sum(),
	} {
		if a == b {
			t.Errorf("%s is the same output", name)
		}
	}
}
