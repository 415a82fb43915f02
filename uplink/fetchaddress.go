package uplink

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

// span is a block of addresses that are not places of the public internet.
type span struct {
	netip.Prefix
	what  string
	never bool // no grant opens it: nobody can be there, or it is a roundabout name for this gateway
}

// cloudsOwn is where virtual machines get credentials and settings from their
// cloud. Most such addresses are link-local; these are not.
const cloudsOwn = "an address of the cloud's own, where it keeps credentials"

// spans are what clouds answer at, and the special-purpose registries of IANA;
// the first that holds an address counts. Of IPv6, everything outside of 2000::/3 is special as well.
var spans = []span{
	{netip.MustParsePrefix("0.0.0.0/8"), "no address", true},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast", true},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast", true},
	{netip.MustParsePrefix("168.63.129.16/32"), cloudsOwn, false}, // Azure, the only one among public addresses
	{netip.MustParsePrefix("100.100.100.200/32"), cloudsOwn, false},
	{netip.MustParsePrefix("192.0.0.192/32"), cloudsOwn, false},
	{netip.MustParsePrefix("fd00:ec2::/32"), cloudsOwn, false},
	{netip.MustParsePrefix("fd20:ce::/32"), cloudsOwn, false},
	{netip.MustParsePrefix("127.0.0.0/8"), "this gateway itself", false},
	{netip.MustParsePrefix("10.0.0.0/8"), "a private address", false},
	{netip.MustParsePrefix("172.16.0.0/12"), "a private address", false},
	{netip.MustParsePrefix("192.168.0.0/16"), "a private address", false},
	{netip.MustParsePrefix("100.64.0.0/10"), "an address inside the provider's network", false},
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address, where clouds keep credentials", false},
	{netip.MustParsePrefix("192.0.0.0/24"), "a reserved address", false},
	{netip.MustParsePrefix("192.0.2.0/24"), "a reserved address", false},
	{netip.MustParsePrefix("192.88.99.0/24"), "a reserved address", false},
	{netip.MustParsePrefix("198.18.0.0/15"), "a reserved address", false},
	{netip.MustParsePrefix("198.51.100.0/24"), "a reserved address", false},
	{netip.MustParsePrefix("203.0.113.0/24"), "a reserved address", false},
	{netip.MustParsePrefix("240.0.0.0/4"), "a reserved address", false},
	{netip.MustParsePrefix("::/128"), "no address", true},
	{netip.MustParsePrefix("ff00::/8"), "multicast", true},
	{netip.MustParsePrefix("::1/128"), "this gateway itself", false},
	{netip.MustParsePrefix("fc00::/7"), "a private address", false},
	{netip.MustParsePrefix("fe80::/10"), "a link-local address", false},
	{nat64, "an IPv4 address behind NAT64", false},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "an IPv4 address behind NAT64", false},
	{netip.MustParsePrefix("2002::/16"), "an IPv4 address behind 6to4", false},
	{netip.MustParsePrefix("2001::/23"), "a reserved address", false},
	{netip.MustParsePrefix("2001:db8::/32"), "a reserved address", false},
	{netip.MustParsePrefix("3fff::/20"), "a reserved address", false},
}

var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	unicast6  = netip.MustParsePrefix("2000::/3")
	elsewhere = span{what: "a reserved address"}
	nearby    = span{what: "an address in a network that this gateway is attached to"}
)

// spanOf returns the block that holds ip, nil if ip is public. IPv4 in IPv6
// must be unmapped before. In the attached networks are the neighbours behind
// the same firewall, and this gateway itself, whatever their addresses look like.
func spanOf(ip netip.Addr, attached []netip.Prefix) *span {
	ip = ip.WithZone("")
	if i := slices.IndexFunc(spans, func(s span) bool { return s.Contains(ip) }); i >= 0 {
		return &spans[i]
	}
	switch {
	case ip.Is6() && !unicast6.Contains(ip):
		return &elsewhere
	case within(attached, ip):
		return &nearby
	}
	return nil
}

func within(networks []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(ip) })
}

// attachedNetworks are those of this gateway's interfaces, as far as the system
// tells.
func attachedNetworks() []netip.Prefix {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var networks []netip.Prefix
	for _, a := range addrs {
		if n, err := netip.ParsePrefix(a.String()); err == nil && n.Bits() > 0 { // 0: a tunnel that takes all
			networks = append(networks, n.Masked())
		}
	}
	return networks
}

// addressError is a connection that was refused for the address behind a name.
type addressError struct {
	ip   netip.Addr
	span *span
}

func (e *addressError) Error() string {
	if e.span.never {
		return fmt.Sprintf("it leads to %s, %s: %v", e.ip, e.span.what, agent.ErrDenied)
	}
	network := netip.PrefixFrom(e.ip.WithZone(""), e.ip.BitLen())
	return fmt.Sprintf("it leads to %s, %s: if that is meant, add %q or its network to permissions.http of the function: %v",
		e.ip, e.span.what, network, agent.ErrDenied)
}

func (e *addressError) Unwrap() error { return agent.ErrDenied }

// checkAddress tells whether to connect to ip, which is public, the host that
// was granted itself, or in a granted network. NAT64 counts also as what is
// behind it.
func checkAddress(ip, host netip.Addr, granted, attached []netip.Prefix) error {
	ip = ip.Unmap()
	s := spanOf(ip, attached)
	if s == nil || !s.never && ip == host {
		return nil
	}
	if s.never || !within(granted, ip) {
		return &addressError{ip, s}
	}
	if nat64.Contains(ip) {
		bits := ip.As16()
		return checkAddress(netip.AddrFrom4([4]byte(bits[12:])), host, granted, attached)
	}
	return nil
}
