package uplink_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/uplink"
)

// A record that is larger than what its link may ever carry waits, or is dropped
// if it says so; it stands in nobody's way.
func TestTooBigForTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels()
		s.add(weighing(1, "big", 5, "a/f", 200_000))
		s.add(weighing(2, "big", 5, "a/f", 100)) // behind it
		for i := range 20 {
			rec := weighing(uint64(i+3), "small", uint8(5-i%2), "a/f", 100)
			rec.Shed = i >= 10
			s.add(rec)
		}
		m, err := uplink.NewMeter(uplink.LinkOptions{Name: "lte", Day: 100_000}, &shelf{})
		if err != nil {
			t.Fatal(err)
		}
		far := &target{}
		o := uplink.NewOutbox(s, s, far, uplink.Options{Name: "central", Link: m, Log: quiet})
		defer run(t, o)()
		pass(time.Hour)
		if st := o.Status(); st.Delivered != 20 || st.Waiting != 2 || st.Drops.OverBudget != 0 {
			t.Errorf("%d went, %+v", len(far.ids()), st)
		}
		why, err := o.Why(0)
		t.Log(why, err)
		why, err = o.Why(2)
		t.Log(why, err)
	})
}
