package uplink_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// Telemetry that its target will never take is counted and gone: in the
// dead-letter box it would push out letters that somebody wants to mend. A
// follow-up that is refused goes there all the same.
func TestRefusedTelemetryIsNoDeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recs := records(3, "a", "b", "c")
		recs[0].Kind, recs[1].Kind = agent.KindTelemetry, agent.KindTelemetry
		s := newStore(recs...)
		far := &target{say: func(agent.Record) error {
			return &uplink.Error{Class: uplink.Permanent, Status: 400, Reason: "answered 400"}
		}}
		o := uplink.NewOutbox(s, s, far, uplink.Options{Log: quiet})
		defer run(t, o)()
		pass(time.Minute)
		if st := o.Status(); len(s.dead) != 1 || s.dead[0].Event.ID != "c-3" || s.left() != 0 || st.Drops.Refused != 2 || st.Dead != 1 {
			t.Errorf("%d dead letters, %d left, status %+v", len(s.dead), s.left(), st)
		}
	})
}
