// Package firewall keeps what is behind one network interface of this machine
// from reaching private networks and the machine itself.
//
// It is how containers get the network "internet": their bridge is the
// interface. The rules stand in a table of their own, inet cronium_INTERFACE,
// which is replaced as a whole in one transaction, so they can be applied again
// at any time and there is no moment without them. They are enforced outside
// the container: nothing in it can change them.
package firewall

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"regexp"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// blocked are the ranges that are not the internet: private, link-local with
// the metadata services of clouds, shared, loopback, test and multicast ones.
var blocked = []string{
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
}

// interfaceName is what Linux allows and a table's name can hold.
var interfaceName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,15}$`)

// priority is before the rules that the container engine makes.
const priority = -10

// standing is the line that Apply and Remove print.
type standing struct {
	Table     string   `json:"table"`
	Interface string   `json:"interface"`
	Blocked   []string `json:"blocked"`
	Host      bool     `json:"host_blocked"`
	IPv6      bool     `json:"ipv6_blocked"`
	Removed   bool     `json:"removed"`
}

// Apply puts the rules of an interface in force and prints what stands.
func Apply(device string, out io.Writer) error {
	conn, table, err := prepare(device)
	if err != nil {
		return err
	}
	conn.AddTable(table) // so that there is one to delete
	conn.DelTable(table)
	conn.AddTable(table)
	policy := nftables.ChainPolicyAccept
	forward := conn.AddChain(&nftables.Chain{
		Name: "forward", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityRef(priority), Policy: &policy,
	})
	input := conn.AddChain(&nftables.Chain{
		Name: "input", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityRef(priority), Policy: &policy,
	})
	for _, text := range blocked {
		conn.AddRule(&nftables.Rule{Table: table, Chain: forward, Exprs: dropTo(device, netip.MustParsePrefix(text))})
	}
	conn.AddRule(&nftables.Rule{Table: table, Chain: forward, Exprs: append(from(device), append(family(unix.NFPROTO_IPV6), drop())...)})
	conn.AddRule(&nftables.Rule{Table: table, Chain: input, Exprs: append(from(device), drop())})
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("apply firewall of %s: %w", device, err)
	}
	return json.NewEncoder(out).Encode(standing{Table: "inet " + table.Name, Interface: device, Blocked: blocked, Host: true, IPv6: true})
}

// Remove takes the rules of an interface away. Where there are none it succeeds.
func Remove(device string, out io.Writer) error {
	conn, table, err := prepare(device)
	if err != nil {
		return err
	}
	conn.AddTable(table)
	conn.DelTable(table)
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("remove firewall of %s: %w", device, err)
	}
	return json.NewEncoder(out).Encode(standing{Table: "inet " + table.Name, Interface: device, Blocked: []string{}, Removed: true})
}

func prepare(device string) (*nftables.Conn, *nftables.Table, error) {
	if !interfaceName.MatchString(device) {
		return nil, nil, fmt.Errorf("%q cannot be the name of a network interface", device)
	}
	conn, err := nftables.New()
	if err != nil {
		return nil, nil, fmt.Errorf("reach the kernel's firewall: %w", err)
	}
	return conn, &nftables.Table{Family: nftables.TableFamilyINet, Name: "cronium_" + device}, nil
}

// from matches packets that came in by the interface.
func from(device string) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, device)
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: name},
	}
}

// family matches packets of IPv4 or IPv6.
func family(protocol byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{protocol}},
	}
}

func drop() expr.Any { return &expr.Verdict{Kind: expr.VerdictDrop} }

// dropTo drops what comes from the interface and goes to a range of IPv4.
func dropTo(device string, to netip.Prefix) []expr.Any {
	const destinationOffset = 16 // in the header of IPv4
	mask := ^uint32(0) << (32 - to.Bits())
	address := to.Masked().Addr().As4()
	rule := append(from(device), family(unix.NFPROTO_IPV4)...)
	return append(rule,
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: destinationOffset, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.BigEndian.PutUint32(mask), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: address[:]},
		drop(),
	)
}
