package container

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"cronium.dev/cronium"
)

// The network of scripts that may reach public addresses alone.
const (
	internetNetwork   = "cronium-internet"
	internetInterface = "cronium0"
)

// The rules are put up again now and then, because another program may have
// removed them: by keep in the background while the network is used, and by
// ensure when that has not been done for long.
const (
	keepEvery = 2 * time.Minute
	trustFor  = 3 * keepEvery
)

// bridgeOptions are what the network must have: a name that the rules can
// use, and no way from one container to another.
var bridgeOptions = map[string]string{
	"com.docker.network.bridge.name":       internetInterface,
	"com.docker.network.bridge.enable_icc": "false",
}

// publicResolvers are asked where the host's own are private: those would not
// be reachable.
var publicResolvers = []string{"1.1.1.1", "9.9.9.9"}

// networks gives each cronium.Network as the engine knows it.
type networks struct {
	backend *Backend

	mu      sync.Mutex
	applied time.Time // when the firewall was last put up; zero: not known to be up
	image   string    // of the last container that asked; "" since the rules were put up
}

func newNetworks(b *Backend) *networks { return &networks{backend: b} }

// doubt has the next ensure put the firewall up again.
func (n *networks) doubt() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.applied = time.Time{}
}

// ensure gives the engine's network mode and the name servers for a network.
// For "internet" the firewall is up when it returns: without it nothing runs.
func (n *networks) ensure(ctx context.Context, network cronium.Network, image string) (mode string, dns []string, err error) {
	switch network {
	case cronium.NetworkNone:
		return "none", nil, nil
	case cronium.NetworkFull:
		return "bridge", nil, nil
	case cronium.NetworkInternet:
	default:
		return "", nil, cronium.Errorf(cronium.CodeInvalid, "There is no network %q; it must be none, internet or full.", network)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.image = image
	if time.Since(n.applied) > trustFor {
		if err := n.protect(ctx, image); err != nil {
			return "", nil, err
		}
		n.applied = time.Now()
	}
	return internetNetwork, n.resolvers(), nil
}

// keep puts the rules up again while the network is used, until ctx ends.
func (n *networks) keep(ctx context.Context) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n.mu.Lock()
		image := n.image
		n.image = ""
		n.mu.Unlock()
		if image == "" {
			continue
		}
		err := n.protect(ctx, image)
		n.mu.Lock()
		n.applied = time.Now()
		if err != nil {
			n.applied = time.Time{}
		}
		n.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			n.backend.config.Log.WarnContext(ctx, "the firewall of the network internet could not be put up again", "error", err)
		}
	}
}

// protect makes the network and puts its firewall up.
func (n *networks) protect(ctx context.Context, image string) error {
	found, err := n.backend.engine.bridge(ctx, internetNetwork)
	if errors.Is(err, errAbsent) {
		err = n.backend.engine.makeBridge(ctx, internetNetwork, bridgeOptions, map[string]string{labelPurpose: "internet"})
		if err != nil && !errors.Is(err, errConflict) {
			return err
		}
		found, err = n.backend.engine.bridge(ctx, internetNetwork)
	}
	if err != nil {
		return err
	}
	for option, value := range bridgeOptions {
		if found.driver != "bridge" || found.ipv6 || found.options[option] != value {
			return cronium.Errorf(cronium.CodeUnavailable,
				"The engine's network %s was not made by Cronium as it must be. Remove it (docker network rm %s); it is made again. Nothing was run.",
				internetNetwork, internetNetwork)
		}
	}
	if err := n.firewall(ctx, image); err != nil {
		return &cronium.Error{
			Code: cronium.CodeUnavailable,
			Message: "The network internet cannot be given, because the engine's machine did not accept the firewall rules that keep scripts " +
				"away from it and from private addresses. Nothing was run. The event can run with network none meanwhile; the rules need nftables in the kernel.",
			Err: err,
		}
	}
	return nil
}

// firewall runs `cronium-agent firewall` in the engine's own network: the one
// container that may change rules, gone after a moment.
func (n *networks) firewall(ctx context.Context, image string) error {
	volume, err := n.backend.agent.ensure(ctx, image)
	if err != nil {
		return err
	}
	said, code, err := n.backend.help(ctx, plan{
		image:        image,
		command:      []string{agentPath, "firewall", "--interface", internetInterface},
		user:         "0:0",
		network:      "host",
		volume:       volume,
		capabilities: []string{"NET_ADMIN"},
	})
	if err == nil && code != 0 {
		err = fmt.Errorf("put up the firewall: exit code %d: %s", code, said)
	}
	return err
}

// help runs a helper container to its end and gives what it said to stderr.
func (b *Backend) help(ctx context.Context, p plan) (said string, code int, err error) {
	p.labels = b.labels("helper", nil)
	id, err := b.engine.create(ctx, p)
	if err != nil {
		return "", 0, err
	}
	defer b.discard(ctx, id)
	b.created.Add(1)
	s, err := b.engine.attach(ctx, id)
	if err != nil {
		return "", 0, err
	}
	defer s.Close()
	if err := b.engine.start(ctx, id); err != nil {
		return "", 0, err
	}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	_, _ = io.Copy(io.Discard, s) // until its end; how it ended is asked next
	ended, err := b.engine.inspect(ctx, id)
	for err == nil && ended.running {
		if _, err = b.engine.wait(ctx, id); err == nil {
			ended, err = b.engine.inspect(ctx, id)
		}
	}
	return s.tail(), ended.exitCode, err
}

// resolvers are the name servers of the internet network.
func (n *networks) resolvers() []string {
	if len(n.backend.config.DNS) > 0 {
		return n.backend.config.DNS
	}
	for _, file := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		if found := publicIn(file); len(found) > 0 {
			return found
		}
	}
	return publicResolvers
}

// publicIn reads the public IPv4 name servers of a resolv.conf, at most three.
func publicIn(file string) []string {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	var found []string
	for lines := bufio.NewScanner(f); lines.Scan() && len(found) < 3; {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil && a.Is4() && public4(a) {
			found = append(found, a.String())
		}
	}
	return found
}

// notPublic are the IPv4 ranges that are no public addresses, beside those
// that netip knows.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"),
}

func public4(a netip.Addr) bool {
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsGlobalUnicast() && !a.IsPrivate()
}
