package uplink_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// What the lowest level left on the disk after failures goes with Retry, too, and
// without it once its pause is over, though nothing else happens any more.
func TestTheLowestLevelGoesAfterFailures(t *testing.T) {
	for _, retry := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := newLevels()
			for i := range 250 {
				s.add(leveled(uint64(i+1), string(rune('0'+i%10)), uint8(i%10)))
			}
			far := &target{say: func(agent.Record) error { return errors.New("away") }}
			o := uplink.NewOutbox(s, s, far, uplink.Options{Name: "central", InFlight: 1, Log: quiet})
			defer run(t, o)()
			pass(time.Hour)
			far.change(func() { far.say = nil })
			if retry {
				o.Retry()
				pass(10 * time.Second)
			} else {
				pass(time.Hour)
			}
			if st := o.Status(); st.Waiting > 0 {
				t.Errorf("retry %v: there wait %v", retry, st.ByPriority)
			}
		})
	}
}
