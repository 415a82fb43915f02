package agent

import (
	"bytes"
	"testing"
	"time"
)

func FuzzShelf(f *testing.F) {
	s := newShelf()
	s.stretch(120, false).rows[0].n = 7
	s.stretch(120, true).bytes = 9
	s.cut = []int64{3, 4}
	f.Add(s.encode(60))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeShelf(b, 1)
		if err != nil {
			return
		}
		again, err := decodeShelf(s.encode(1), 1)
		if err != nil || !bytes.Equal(again.encode(1), s.encode(1)) {
			t.Errorf("%+v becomes %+v: %v", s, again, err)
		}
	})
}

func FuzzAsideEvent(f *testing.F) {
	f.Add(encodeAside(&Event{ID: "1", Source: "/gw7", Type: "t", Subject: "s/1", Via: "plant", QoS: 1, Time: time.Unix(1, 2), Data: []byte("{}")}, 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeAside(b)
		if err != nil {
			return
		}
		again, err := decodeAside(encodeAside(e.Event, e.at))
		if err != nil || again.at != e.at || again.ID != e.ID || !again.Time.Equal(e.Time) || !bytes.Equal(again.Data, e.Data) {
			t.Errorf("%+v becomes %+v: %v", e, again, err)
		}
	})
}
