package postgres_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"cronium.dev/postgres"
)

// useCluster is another process of Cronium: it uses the cluster until its
// standard input ends.
func useCluster(dir string) {
	c, err := postgres.Start(context.Background(), postgres.Config{DataDir: dir, Settings: volatile})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("running")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // the end is what counts
	if err := c.Stop(context.Background()); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// process is one that runs useCluster.
type process struct {
	cmd *exec.Cmd
	end func() // ends it in order
}

func startProcess(t *testing.T, dir string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CRONIUM_TEST_USE_CLUSTER="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd}
	p.end = func() {
		in.Close()
		_ = cmd.Wait() // killed on purpose in some tests
	}
	t.Cleanup(p.end)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "running\n" {
		t.Fatalf("the other process says %q (%v)", line, err)
	}
	return p
}

func TestProcessesShareAClusterAndTheLastOneEndsIt(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	first := startProcess(t, dir)
	old := pid(dir)
	second := start(t, dir)
	if pid(dir) != old {
		t.Error("the second process started a postmaster of its own")
	}
	first.end()
	if got := mustQuery(t, second, "SELECT 1"); got != "1" || pid(dir) != old {
		t.Error("the first process ended the cluster that the second one uses")
	}
	stop(t, second)
	if p := pid(dir); p != 0 {
		t.Errorf("process %d was left after the last Stop", p)
	}
}

func TestClusterOfAKilledProcessIsTakenOver(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	killed := startProcess(t, dir)
	old := pid(dir)
	if err := killed.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed.end()
	c := start(t, dir)
	if got := mustQuery(t, c, "SELECT 1"); got != "1" || pid(dir) != old {
		t.Errorf("postmaster is %d, want %d taken over", pid(dir), old)
	}
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a taken over postmaster is started again as well", func() bool {
		_, err := query(t.Context(), c.URL(), "SELECT 1")
		return err == nil && pid(dir) != old
	})
	stop(t, c)
	if p := pid(dir); p != 0 {
		t.Errorf("process %d was left after Stop", p)
	}
}

func TestEachUserBringsAKilledPostmasterBack(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	first := start(t, dir)
	second := start(t, dir)
	if err := syscall.Kill(pid(dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*postgres.Cluster{first, second} {
		eventually(t, "it answers", func() bool {
			_, err := query(t.Context(), c.URL(), "SELECT 1")
			return err == nil && c.Err() == nil
		})
	}
	stop(t, first)
	mustQuery(t, second, "SELECT 1")
}

func TestManyStartAtOnce(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			mustQuery(t, start(t, dir), "SELECT 1")
		})
	}
}

// A pid file that a power cut left names a process that is now another.
func TestPidFileOfADeadPostmasterIsRemoved(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	stop(t, start(t, dir))

	// It has PostgreSQL's user, which is what PostgreSQL itself stops at.
	sleeper := exec.Command("sleep", "1000")
	sleeper.SysProcAttr = ownerOf(t, filepath.Join(dir, "data"))
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = sleeper.Process.Kill()
		_ = sleeper.Wait()
	}()
	for _, number := range []int{sleeper.Process.Pid, 1, 4194303} {
		lock := filepath.Join(dir, "socket", ".s.PGSQL.5432.lock")
		if err := os.WriteFile(lock, fmt.Appendln(nil, number), 0o600); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%d\n%s/data\n1700000000\n5432\n%s/socket\n\n 123 456\nready   \n", number, dir, dir)
		file := filepath.Join(dir, "data", "postmaster.pid")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := start(t, dir)
		mustQuery(t, c, "SELECT 1")
		if pid(dir) == number {
			t.Errorf("process %d was taken for PostgreSQL", number)
		}
		stop(t, c)
	}
	if err := sleeper.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the process that had the number was ended: %v", err)
	}
}

func TestStartThatIsGivenUpLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		c, err := postgres.Start(ctx, postgres.Config{DataDir: dir, Settings: volatile})
		if err == nil {
			err = c.Stop(context.Background())
		}
		ended <- err
	}()
	eventually(t, "a postmaster starts", func() bool { return pid(dir) != 0 })
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if p := pid(dir); p != 0 {
		t.Errorf("process %d was left", p)
	}
}

func ownerOf(t *testing.T, path string) *syscall.SysProcAttr {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: st.Uid, Gid: st.Gid}}
}

// smallDisk mounts a disk of that size; false where that needs root.
func smallDisk(t *testing.T, size string) (string, bool) {
	t.Helper()
	if os.Geteuid() != 0 {
		return "", false
	}
	dir := dataDir(t)
	if err := os.Mkdir(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0711,size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// PostgreSQL's logger ends a moment after its postmaster.
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir, true
}

func TestFullDiskIsNamed(t *testing.T) {
	t.Parallel()
	disk, ok := smallDisk(t, "20m")
	if !ok {
		return
	}
	_, err := postgres.Start(t.Context(), postgres.Config{DataDir: filepath.Join(disk, "postgres"), Settings: volatile})
	if !errors.Is(err, postgres.ErrDiskFull) {
		t.Errorf("error is %v, want ErrDiskFull", err)
	}
}

func TestDiskThatFillsUpCostsNothingStored(t *testing.T) {
	t.Parallel()
	disk, ok := smallDisk(t, "150m")
	if !ok {
		return
	}
	c := start(t, filepath.Join(disk, "postgres"))
	mustQuery(t, c, "CREATE TABLE notes AS SELECT 'kept' AS text")
	ballast := filepath.Join(disk, "ballast")
	_ = exec.Command("dd", "if=/dev/zero", "of="+ballast, "bs=1M").Run() // ends when the disk is full
	eventually(t, "writing fails", func() bool {
		_, err := query(t.Context(), c.URL(), "CREATE TABLE filler AS SELECT repeat(md5(i::text), 100) FROM generate_series(1, 20000) i")
		return err != nil
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it works again with what was stored", func() bool {
		text, err := query(t.Context(), c.URL(), "SELECT text FROM notes")
		return err == nil && text == "kept"
	})
	mustQuery(t, c, "INSERT INTO notes VALUES ('more')")
}
