package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"cronium.dev/internal/instance"
	"cronium.dev/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// openLimit is how many jobs may be open before more are asked for.
const openLimit = 24

// TestFaults is the fault run.
func TestFaults(t *testing.T) {
	t.Parallel()
	executions, seed := setting(t, "CRONIUM_FAULT_EXECUTIONS", 40), setting(t, "CRONIUM_FAULT_SEED", rand.IntN(1_000_000))
	t.Logf("CRONIUM_FAULT_EXECUTIONS=%d CRONIUM_FAULT_SEED=%d", executions, seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	begun := time.Now()
	r := newRun(t, random)
	t.Logf("%s: two servers and an engine run", since(begun))

	faults := allStrikes()
	rounds := roundsFor(executions, len(faults))
	for round := range rounds {
		if round%len(faults) == 0 {
			random.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		}
		r.waitForRoom(t)
		asked, after := executions*round/rounds, executions*(round+1)/rounds
		r.load.ask(t.Context(), after-asked)
		fault, before := faults[round%len(faults)], time.Duration(random.IntN(2500))*time.Millisecond
		pause(t.Context(), before)
		t.Logf("%s: %s, after %d of %d jobs were asked for", since(begun), fault.name, after, executions)
		if err := fault.do(r.strikes, t.Context()); err != nil {
			t.Fatalf("%s: %v", fault.name, err)
		}
	}
	r.load.asking.Wait()
	t.Logf("%s: all jobs are asked for and no more faults come", since(begun))
	r.settle(t)
	t.Logf("%s: the jobs are final", since(begun))
	r.check(t)
	r.checkEnd(t)
	t.Logf("%s: checked", since(begun))
}

// roundsFor is how often a fault strikes: each as often as the others, and once
// for about eight executions, or fifty in a long run.
func roundsFor(executions, faults int) int {
	each := faults * max(8, executions/200)
	return faults * ((executions + each - 1) / each)
}

// run is all that takes part.
type run struct {
	dir     string
	site    *instance.Site
	engine  *engine
	fleet   *fleet
	starts  *starts
	load    *load
	strikes *strikes
}

// newDir makes the folder of a run, which is removed with what a failed run has
// left running; its logs are kept then.
func newDir(t *testing.T) string {
	t.Helper()
	// Not t.TempDir, whose folders PostgreSQL's user may not enter.
	dir, err := os.MkdirTemp("", "cronium-faults-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range processes(dir) { // what a failed run has left
			if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
				t.Error(err)
			}
		}
		if t.Failed() {
			t.Logf("logs are kept in %s", filepath.Join(dir, "logs"))
			removeAllBut(t, dir, "logs")
			return
		}
		removeAllBut(t, dir)
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bin", "logs", "engine"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o711); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func newRun(t *testing.T, random *rand.Rand) *run {
	t.Helper()
	dir := newDir(t)
	var binaries instance.Binaries
	built := make(chan error, 1)
	go func() {
		var err error
		binaries, err = instance.Build(t.Context(), filepath.Join(dir, "bin"))
		built <- err
	}()
	r := &run{dir: dir, engine: newEngine(t, filepath.Join(dir, "engine"), filepath.Join(dir, "logs", "engine.log"))}
	if err := <-built; err != nil {
		t.Fatal(err)
	}
	r.site = &instance.Site{
		Binaries: binaries, Data: filepath.Join(dir, "site"), Logs: filepath.Join(dir, "logs"),
		Engine: r.engine.host, Flags: []string{"--pool", "4", "--api-rate", "0"},
	}
	r.fleet = newFleet(t, r.site)
	token, err := r.site.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := instance.NewClient(token, r.fleet.address)
	t.Cleanup(client.Close)
	r.starts = newStarts(t, r.engine)
	r.load = newLoad(t, client, random, r.starts)
	r.strikes = &strikes{fleet: r.fleet, engine: r.engine, database: database{r.site}, random: random, killed: map[string]bool{}}
	return r
}

// waitForRoom waits while many jobs are open.
func (r *run) waitForRoom(t *testing.T) {
	t.Helper()
	err := await(t.Context(), 5*time.Minute, "jobs to end", func() error {
		open, err := r.strikes.database.openJobs(t.Context())
		if err == nil && open > openLimit {
			err = fmt.Errorf("%d are open", open)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// settle waits until all jobs are final.
func (r *run) settle(t *testing.T) {
	t.Helper()
	err := await(t.Context(), 3*time.Minute, "all jobs to be final", func() error {
		open, err := r.strikes.database.openJobs(t.Context())
		if err == nil && open > 0 {
			err = fmt.Errorf("%d are open", open)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// setting reads a number from the environment.
func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s must be a number: %v", name, err)
	}
	return n
}

func since(t time.Time) string { return fmt.Sprintf("%5.1f s", time.Since(t).Seconds()) }

// removeAllBut removes a folder's contents, and the folder itself if nothing is
// kept.
func removeAllBut(t *testing.T, dir string, keep ...string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Error(err)
	}
	for _, entry := range entries {
		if len(keep) > 0 && entry.Name() == keep[0] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			t.Error(err)
		}
	}
	if len(keep) == 0 {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	}
}
