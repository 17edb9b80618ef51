package container

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
)

// reach tries each address:port of TARGETS, all at once, and prints those that
// a connection was made to.
const reach = `
import os, socket, threading
lock, found = threading.Lock(), []
def reach(a):
    host, port = a.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 3).close()
        with lock: found.append(a)
    except OSError:
        pass
threads = [threading.Thread(target=reach, args=(a,)) for a in os.environ["TARGETS"].split()]
for t in threads: t.start()
for t in threads: t.join()
print(*sorted(found))
`

func reached(t *testing.T, network cronium.Network, targets ...string) []string {
	t.Helper()
	s := conformance.Python(reach)
	s.Env = map[string]string{"TARGETS": strings.Join(targets, " ")}
	return strings.Fields(prints(t, specOf(network), s))
}

func TestInternetReachesPublicAddressesAlone(t *testing.T) {
	t.Parallel()
	port := listenEverywhere(t)
	public := listenInPublic(t)
	private := hostAddresses(t)
	for i := range private {
		private[i] = net.JoinHostPort(private[i], port)
	}
	private = append(private, neighbour(t)+":8000", "169.254.169.254:80")

	if got := reached(t, cronium.NetworkInternet, append(private, public)...); !slices.Equal(got, []string{public}) {
		t.Errorf("with network internet the script reached %v, want %s alone", got, public)
	}
	// The same addresses with network full show that something listens there.
	got := reached(t, cronium.NetworkFull, append(private, public)...)
	for _, a := range append(private[:len(private)-1], public) {
		if !slices.Contains(got, a) {
			t.Errorf("with network full the script did not reach %s, so the test shows nothing", a)
		}
	}
	if got := reached(t, cronium.NetworkNone, append(private, public)...); len(got) > 0 {
		t.Errorf("with network none the script reached %v", got)
	}
}

func TestScriptsOfTheInternetNetworkDoNotReachEachOther(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	sink := conformance.NewRecorder(t)
	place := b.target(specOf(cronium.NetworkInternet)).Place(t)
	ctx, end := context.WithCancel(conformance.Context(t))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = executor.Drive(ctx, place, serveHTTP().Run(b.key), sink) // ended by the test
	}()
	sink.Wait(ctx, "\n")
	address := strings.TrimSpace(sink.Stdout())
	if got := reached(t, cronium.NetworkInternet, address+":8000"); len(got) > 0 {
		t.Errorf("one script reached another at %v", got)
	}
	end()
	<-done
}

// serveHTTP listens on port 8000 and prints its address.
func serveHTTP() conformance.Script {
	return conformance.Python(`
import socket, time
s = socket.create_server(("0.0.0.0", 8000))
print(socket.gethostbyname(socket.gethostname()), flush=True)
while True:
    s.accept()
`)
}

// neighbour is the address of a container on the engine's default network that
// listens on port 8000: a private service beside Cronium.
func neighbour(t *testing.T) string {
	t.Helper()
	b := newBench(t, nil)
	sink := conformance.NewRecorder(t)
	place := b.target(specOf(cronium.NetworkFull)).Place(t)
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = executor.Drive(ctx, place, serveHTTP().Run(b.key), sink) // ended by the test
	}()
	t.Cleanup(func() {
		end()
		<-done
	})
	sink.Wait(conformance.Context(t), "\n")
	return strings.TrimSpace(sink.Stdout())
}

// listenEverywhere listens on a port of all addresses of this machine.
func listenEverywhere(t *testing.T) (port string) {
	t.Helper()
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	accept(t, l)
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

func accept(t *testing.T, l net.Listener) {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
}

// hostAddresses are this machine's IPv4 addresses that a container may reach:
// its own and the gateways of the engine's networks.
func hostAddresses(t *testing.T) []string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			found = append(found, n.IP.String())
		}
	}
	if len(found) == 0 {
		t.Fatal("this machine has no address to test with")
	}
	return found
}

// listenInPublic listens on a public address in a network namespace that this
// test makes, reached through this machine as the internet would be.
func listenInPublic(t *testing.T) (address string) {
	t.Helper()
	const (
		public = "44.31.7.1" // of a range for radio amateurs' experiments
		inside = "44.31.7.2" // public as well, and this machine's own
	)
	name := fmt.Sprintf("crn%d", os.Getpid()%100000)
	ip(t, "netns", "add", name)
	t.Cleanup(func() { ip(t, "netns", "del", name) })
	ip(t, "link", "add", name+"a", "type", "veth", "peer", "name", name+"b", "netns", name)
	ip(t, "address", "add", inside, "peer", public, "dev", name+"a")
	ip(t, "link", "set", name+"a", "up")
	ip(t, "-n", name, "address", "add", public, "peer", inside, "dev", name+"b")
	ip(t, "-n", name, "link", "set", name+"b", "up")
	ip(t, "-n", name, "route", "add", "default", "via", inside)

	listening := make(chan net.Listener, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its namespace
		defer close(listening)
		ns, err := os.Open("/run/netns/" + name)
		if err != nil {
			t.Error(err)
			return
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Errorf("enter the namespace: %v", err)
			return
		}
		l, err := net.Listen("tcp4", public+":0")
		if err != nil {
			t.Error(err)
			return
		}
		listening <- l
	}()
	l := <-listening
	if l == nil {
		t.FailNow()
	}
	accept(t, l)
	return l.Addr().String()
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}
