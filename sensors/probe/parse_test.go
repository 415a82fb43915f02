package probe

import (
	"bufio"
	"bytes"
	"testing"
)

func TestLimitsThatABrokerNames(t *testing.T) {
	l, err := parseLimits([]byte{
		28, propSessionExpiry, 0, 0, 14, 16, propReceiveMax, 0, 20, propMaxQoS, 1, propRetain, 0, propUser, 0, 1, 'a', 0, 1, 'b',
		propMaxPacket, 0, 1, 0, 0, propWildcard, 0, propShared, 0,
	})
	want := Limits{SessionExpiry: 3600, ReceiveMax: 20, MaxQoS: 1, MaxPacket: 65536, NoRetain: true, NoWildcards: true, NoShared: true}
	if err != nil || l != want {
		t.Errorf("%+v, %v; want %+v", l, err, want)
	}
	for _, bad := range [][]byte{nil, {1}, {2, 0xff, 0}, {3, propMaxQoS}, {3, propReason, 0, 9}} {
		if _, err := parseLimits(bad); err == nil {
			t.Errorf("%x is taken", bad)
		}
	}
}

func FuzzPackets(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0})
	f.Add([]byte{0x32, 7, 0, 1, 'a', 0, 9, 'x', 'y'})
	f.Add([]byte{0x20, 5, 0, 0, 2, propMaxQoS, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		first, body, err := readPacket(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return
		}
		if len(body) > maxPacket {
			t.Errorf("%d bytes", len(body))
		}
		if topic, data, ok := message(first, body); ok && len(topic)+len(data) > len(body) {
			t.Errorf("%q %q of %x", topic, data, body)
		}
		if len(body) > 2 {
			if l, err := parseLimits(body[2:]); err == nil && len(l.Reason) > len(body) {
				t.Error("a reason longer than the packet")
			}
		}
	})
}
