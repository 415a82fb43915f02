package main

import (
	"reflect"
	"testing"
)

func TestIDsAreDerived(t *testing.T) {
	dmi := "4C4C4544-0051-3510-8052-B4C04F4A3132\n"
	mac := machine{"sys/class/net/eth0/device/x": "", "sys/class/net/eth0/address": "b8:27:eb:00:00:01\n", "sys/class/net/eth0/addr_assign_type": "0\n"}
	for _, tt := range []struct {
		m        machine
		source   string
		id, from string
	}{
		{pi("10000000a1b2c3d4", "c1"), "", "10000000a1b2c3d4", "serial"},
		{pi("10000000A1B2C3D4", "c1"), "", "10000000a1b2c3d4", "serial"},
		{machine{"sys/firmware/devicetree/base/serial-number": "abc-123\x00"}, "", "abc-123", "serial"},
		{machine{"sys/class/dmi/id/product_uuid": dmi, "etc/machine-id": "0123456789abcdef0123456789abcdef\n"}, "", "4c4c4544-0051-3510-8052-b4c04f4a3132", "product"},
		{pi("0000000000000000", "c1"), "", "1f84a753f93146ef82c985388812db07", "machine-id"},
		{pi("10000000a1b2c3d4", "c1"), "machine-id", "1f84a753f93146ef82c985388812db07", "machine-id"},
		{machine{"sys/class/dmi/id/product_uuid": "03000200-0400-0500-0006-000700080009\n"}, "", "", ""},
		{machine{"sys/class/dmi/id/product_uuid": "ffffffff-ffff-ffff-ffff-ffffffffffff\n"}, "", "", ""},
		{machine{"proc/device-tree/serial-number": "To be filled by O.E.M.\n"}, "", "", ""},
		{machine{"proc/device-tree/serial-number": "a b c d e f g\n"}, "", "", ""},
		{machine{"etc/machine-id": "uninitialized\n"}, "", "", ""},
		{machine{"etc/machine-id": ""}, "machine-id", "", ""},
		{mac, "", "", ""},
	} {
		id, from, err := deriveID(tt.m.root(t), tt.source)
		if id != tt.id || from != tt.from || (err == nil) != (tt.id != "") {
			t.Errorf("%v: %q from %q, %v; want %q", tt.m, id, from, err, tt.id)
		}
	}
	mac["sys/class/net/veth0/address"] = "0a:00:00:00:00:01\n"
	mac["sys/class/net/usb0/device/x"], mac["sys/class/net/usb0/address"], mac["sys/class/net/usb0/addr_assign_type"] = "", "0a:00:00:00:00:02\n", "1\n"
	if h := readHardware(mac.root(t)); !reflect.DeepEqual(h, hardware{MACs: []string{"b8:27:eb:00:00:01"}}) {
		t.Errorf("the hardware is %+v: addresses that are made up count", h)
	}
}

func TestHardwareDiffers(t *testing.T) {
	for _, tt := range []struct {
		was, is hardware
		differs bool
	}{
		{hardware{Serial: "a1", Card: "c1"}, hardware{Serial: "a1", Card: "c2"}, false}, // its card was replaced
		{hardware{Serial: "a1", Card: "c1"}, hardware{Serial: "a2", Card: "c1"}, true},  // its card is in another board
		{hardware{Product: "p1", MACs: []string{"m1"}}, hardware{MACs: []string{"m1", "m2"}}, false},
		{hardware{Product: "p1", MACs: []string{"m1"}}, hardware{MACs: []string{"m2"}}, true}, // who may not read the first
		{hardware{Product: "p1"}, hardware{Product: "p2", Card: "c1"}, true},
		{hardware{Card: "c1"}, hardware{Card: "c2"}, true},
		{hardware{Serial: "a1"}, hardware{Product: "p1"}, false}, // nobody can tell
		{hardware{}, hardware{Serial: "a1"}, false},
	} {
		if got := tt.was.differs(tt.is); (got != "") != tt.differs {
			t.Errorf("%+v and then %+v: %q", tt.was, tt.is, got)
		}
	}
}
