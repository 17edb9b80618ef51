package ssh_test

import (
	"testing"

	"cronium.dev/internal/testenv"
)

// What a name has resolved to is checked where it is dialled: an address that was
// saved when it was another one must not lead there.
func TestNothingConnectsToACloudsMetadata(t *testing.T) {
	t.Parallel()
	h := testenv.SharedSSH(t)
	b := newBench(t)
	for _, address := range []string{"169.254.169.254", "::ffff:169.254.169.254", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254"} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			c := to(h, "bash")
			c.Address = address
			refused(t, b.on(b.servers.add(c)), "a cloud's metadata address", "Nothing connects to it")
		})
	}
}
