package uplink

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

func TestCheckAddress(t *testing.T) {
	wide := []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"),
	}
	for _, tt := range []struct {
		ip           string
		open, opened bool // without a network, and with all of them granted
	}{
		{"1.1.1.1", true, true},
		{"9.255.255.255", true, true},
		{"11.0.0.0", true, true},
		{"100.63.255.255", true, true},
		{"100.128.0.0", true, true},
		{"172.15.255.255", true, true},
		{"172.32.0.0", true, true},
		{"223.255.255.255", true, true},
		{"2606:4700::1111", true, true},
		{"::ffff:1.1.1.1", true, true},
		{"0.0.0.0", false, false},
		{"0.0.0.1", false, false},
		{"255.255.255.255", false, false},
		{"224.0.0.1", false, false},
		{"239.255.255.250", false, false},
		{"::", false, false},
		{"::ffff:0.0.0.0", false, false},
		{"ff02::1", false, false},
		{"127.0.0.1", false, true},
		{"127.255.255.254", false, true},
		{"10.0.0.5", false, true},
		{"172.16.0.1", false, true},
		{"172.31.255.255", false, true},
		{"192.168.7.20", false, true},
		{"100.64.0.1", false, true},
		{"169.254.169.254", false, true},
		{"192.0.0.170", false, true},
		{"198.18.0.1", false, true},
		{"203.0.113.1", false, true},
		{"240.0.0.1", false, true},
		{"::1", false, true},
		{"::ffff:127.0.0.1", false, true},
		{"::ffff:169.254.169.254", false, true},
		{"::127.0.0.1", false, true}, // IPv4-compatible
		{"::ffff:0:127.0.0.1", false, true},
		{"64:ff9b::1.1.1.1", false, true},
		{"64:ff9b::127.0.0.1", false, true},
		{"64:ff9b::0.0.0.0", false, false},
		{"64:ff9b:1::10.0.0.5", false, true},
		{"2002:7f00:1::", false, true},
		{"2001:0:4136:e378:8000:63bf:3fff:fdd2", false, true}, // Teredo
		{"2001:db8::1", false, true},
		{"fd00::5", false, true},
		{"fec0::1", false, true},
		{"fe80::1", false, true},
		{"fe80::1%eth0", false, false}, // no network holds a zone
	} {
		ip := netip.MustParseAddr(tt.ip)
		if err := checkAddress(ip, netip.Addr{}, nil, nil); (err == nil) != tt.open || err != nil && !errors.Is(err, agent.ErrDenied) {
			t.Errorf("%s: %v, want open: %v", ip, err, tt.open)
		}
		if err := checkAddress(ip, netip.Addr{}, wide, nil); (err == nil) != tt.opened {
			t.Errorf("%s with all networks granted: %v, want open: %v", ip, err, tt.opened)
		}
	}
}

// What clouds tell their machines alone is not all link-local: Azure, Alibaba,
// Oracle, AWS, Google.
func TestCheckAddressOfClouds(t *testing.T) {
	for _, text := range []string{
		"168.63.129.16", "::ffff:168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254",
	} {
		ip := netip.MustParseAddr(text)
		err := checkAddress(ip, netip.Addr{}, nil, nil)
		if !errors.Is(err, agent.ErrDenied) || !strings.Contains(err.Error(), cloudsOwn) {
			t.Errorf("%s: %v", ip, err)
		}
		only := []netip.Prefix{netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen())}
		if err := checkAddress(ip, netip.Addr{}, only, nil); err != nil {
			t.Errorf("%s is granted, but %v", ip, err)
		}
	}
	if err := checkAddress(netip.MustParseAddr("168.63.129.15"), netip.Addr{}, nil, nil); err != nil {
		t.Errorf("beside Azure's own: %v", err)
	}
}

// NAT64 must not lead where its network alone was granted.
func TestCheckAddressBehindNAT64(t *testing.T) {
	only := []netip.Prefix{nat64}
	if err := checkAddress(netip.MustParseAddr("64:ff9b::1.1.1.1"), netip.Addr{}, only, nil); err != nil {
		t.Error(err)
	}
	for _, ip := range []string{"64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::10.0.0.5", "64:ff9b::168.63.129.16"} {
		if err := checkAddress(netip.MustParseAddr(ip), netip.Addr{}, only, nil); !errors.Is(err, agent.ErrDenied) {
			t.Errorf("%s: %v", ip, err)
		}
	}
}

func TestCheckAddressAsHost(t *testing.T) {
	meta, other := netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("169.254.169.253")
	if err := checkAddress(meta, meta, nil, nil); err != nil {
		t.Error(err)
	}
	if err := checkAddress(other, meta, nil, nil); !errors.Is(err, agent.ErrDenied) {
		t.Error(err)
	}
	unspecified := netip.MustParseAddr("0.0.0.0") // connects to this gateway
	if err := checkAddress(unspecified, unspecified, nil, nil); !errors.Is(err, agent.ErrDenied) {
		t.Error(err)
	}
}

// Neighbours with public addresses stand behind the same firewall.
func TestCheckAddressOfNeighbours(t *testing.T) {
	attached := []netip.Prefix{netip.MustParsePrefix("2a02:db9:7::/64"), netip.MustParsePrefix("5.6.7.0/24")}
	for _, text := range []string{"2a02:db9:7::1", "5.6.7.9", "::ffff:5.6.7.9"} {
		ip := netip.MustParseAddr(text)
		if err := checkAddress(ip, netip.Addr{}, nil, attached); !errors.Is(err, agent.ErrDenied) {
			t.Errorf("%s: %v", ip, err)
		}
		if err := checkAddress(ip, netip.Addr{}, attached, attached); err != nil {
			t.Errorf("%s is granted, but %v", ip, err)
		}
	}
	if err := checkAddress(netip.MustParseAddr("5.6.8.1"), netip.Addr{}, nil, attached); err != nil {
		t.Errorf("beside the attached network: %v", err)
	}
	if ip := netip.MustParseAddr("127.0.0.1"); !within(attachedNetworks(), ip) {
		t.Errorf("%s is not in %v", ip, attachedNetworks())
	}
}

// Whatever net/netip calls special is never public here.
func FuzzSpanOf(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add([]byte{255, 255, 255, 255})
	f.Add(netip.MustParseAddr("fe80::1").AsSlice())
	f.Add(netip.MustParseAddr("::ffff:10.0.0.5").AsSlice())
	f.Fuzz(func(t *testing.T, bytes []byte) {
		ip, ok := netip.AddrFromSlice(bytes)
		if !ok {
			return
		}
		u := ip.Unmap()
		special := u.IsPrivate() || u.IsLoopback() || u.IsLinkLocalUnicast() || u.IsMulticast() || u.IsUnspecified() || !u.IsGlobalUnicast()
		if special && checkAddress(ip, netip.Addr{}, nil, nil) == nil {
			t.Errorf("%s is taken for public", ip)
		}
	})
}
