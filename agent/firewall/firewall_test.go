package firewall_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cronium.dev/agent/firewall"
)

// device is the interface behind which the test's container is.
const device = "inside0"

const port = "7777"

// TestMain makes the test binary what the test needs in other network
// namespaces: the firewall command, a listener, a client.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	var err error
	switch os.Args[1] {
	case "apply":
		err = firewall.Apply(os.Args[2], os.Stdout)
	case "remove":
		err = firewall.Remove(os.Args[2], os.Stdout)
	case "listen":
		err = listen()
	case "reach":
		reach(os.Args[2:])
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func listen() error {
	l, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		conn.Close()
	}
}

// reach prints the addresses that a connection can be made to.
func reach(addresses []string) {
	var all sync.WaitGroup
	for _, a := range addresses {
		all.Go(func() {
			conn, err := net.DialTimeout("tcp", net.JoinHostPort(a, port), 700*time.Millisecond)
			if err == nil {
				conn.Close()
				fmt.Println(a)
			}
		})
	}
	all.Wait()
}

var (
	private = []string{
		"10.1.2.3", "100.64.9.9", "169.254.169.254", "172.16.5.5", "172.31.255.9", "192.0.0.9", "192.168.7.7", "198.18.0.9", "198.19.255.9",
	}
	public = []string{"203.0.113.9", "9.255.255.9", "11.0.0.9", "100.128.0.9", "172.32.0.9", "192.0.1.9", "198.20.0.9"}
	host   = []string{"172.30.0.1", "192.0.2.1", "203.0.113.1"} // the host's addresses, a public one among them
	ipv6   = []string{"2001:db8::9", "fd00:30::1"}
)

// network is three namespaces in a row: a container, its host, the world.
type network struct {
	t                      *testing.T
	container, host, world string
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	name := func(part string) string { return fmt.Sprintf("cronium-test-%d-%s", os.Getpid(), part) }
	n := &network{t: t, container: name("container"), host: name("host"), world: name("world")}
	for _, ns := range []string{n.container, n.host, n.world} {
		n.run("ip", "netns", "add", ns)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
		n.run("ip", "-n", ns, "link", "set", "lo", "up")
	}
	for _, ns := range []string{n.container, n.host, n.world} { // addresses are usable at once
		n.run("ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0")
	}
	n.run("ip", "-n", n.host, "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", n.container)
	n.run("ip", "-n", n.host, "link", "add", "outside0", "type", "veth", "peer", "name", "eth0", "netns", n.world)
	script := `
ip -n $C link set eth0 up; ip -n $W link set eth0 up
ip -n $H link set inside0 up; ip -n $H link set outside0 up
ip -n $C addr add 172.30.0.2/24 dev eth0; ip -n $H addr add 172.30.0.1/24 dev inside0
ip -n $C addr add fd00:30::2/64 dev eth0 nodad; ip -n $H addr add fd00:30::1/64 dev inside0 nodad
ip -n $H addr add 192.0.2.1/24 dev outside0; ip -n $W addr add 192.0.2.2/24 dev eth0; ip -n $H addr add 203.0.113.1/32 dev outside0
ip -n $H addr add 2001:db8::1/64 dev outside0 nodad; ip -n $W addr add 2001:db8::9/64 dev eth0 nodad
ip -n $C route add default via 172.30.0.1; ip -n $C -6 route add default via fd00:30::1
ip -n $W route add default via 192.0.2.1; ip -n $W -6 route add default via 2001:db8::1
ip netns exec $H sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
for a in $ADDRESSES; do ip -n $W addr add $a/32 dev eth0; ip -n $H route add $a/32 via 192.0.2.2; done
`
	setup := exec.Command("sh", "-ec", script)
	setup.Env = append(os.Environ(), "C="+n.container, "H="+n.host, "W="+n.world,
		"ADDRESSES="+strings.Join(append(slices.Clone(private), public...), " "))
	if out, err := setup.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n.listen(n.host)
	n.listen(n.world)
	return n
}

func (n *network) run(name string, args ...string) string {
	n.t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		n.t.Fatalf("%s %v: %v: %s", name, args, err, stderr.String())
	}
	return string(out)
}

// in runs this test binary in a namespace.
func (n *network) in(ns string, args ...string) string {
	n.t.Helper()
	return n.run("ip", append([]string{"netns", "exec", ns, os.Args[0]}, args...)...)
}

func (n *network) listen(ns string) {
	n.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", ns, os.Args[0], "listen")
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if _, err := out.Read(make([]byte, 8)); err != nil {
		n.t.Fatal(err)
	}
}

// wantReach checks what the container reaches of all addresses.
func (n *network) wantReach(when string, want ...[]string) {
	n.t.Helper()
	got := strings.Fields(n.in(n.container, append([]string{"reach"}, slices.Concat(private, public, host, ipv6)...)...))
	expected := slices.Concat(want...)
	slices.Sort(got)
	slices.Sort(expected)
	if !slices.Equal(got, expected) {
		n.t.Errorf("%s the container reaches %v, want %v", when, got, expected)
	}
}

func TestContainerReachesTheInternetAndNothingElse(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.wantReach("without rules", private, public, host, ipv6)

	var stands struct {
		Table   string
		Blocked []string
	}
	out := n.in(n.host, "apply", device)
	if err := json.Unmarshal([]byte(out), &stands); err != nil || stands.Table != "inet cronium_"+device || len(stands.Blocked) != 11 {
		t.Errorf("apply printed %q, %v", out, err)
	}
	n.wantReach("with rules", public)
	once := n.run("ip", "netns", "exec", n.host, "nft", "list", "ruleset")
	for _, prefix := range stands.Blocked {
		if !strings.Contains(once, prefix) {
			t.Errorf("%s is missing in %s", prefix, once)
		}
	}

	n.in(n.host, "apply", device)
	if twice := n.run("ip", "netns", "exec", n.host, "nft", "list", "ruleset"); twice != once {
		t.Errorf("applied twice it is\n%s\nonce\n%s", twice, once)
	}

	for range 2 {
		n.in(n.host, "remove", device)
	}
	if left := n.run("ip", "netns", "exec", n.host, "nft", "list", "ruleset"); left != "" {
		t.Errorf("after remove there is %s", left)
	}
	n.wantReach("after remove", private, public, host, ipv6)
}

func TestNamesThatCannotBeInterfacesAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a b", "x/y", "far-too-long-name", "a;b", "é"} {
		if firewall.Apply(name, &bytes.Buffer{}) == nil || firewall.Remove(name, &bytes.Buffer{}) == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}
