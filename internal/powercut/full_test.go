package powercut

import (
	"fmt"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
)

// TestAFullDiskHoldsUpAndLosesNothing has something else fill the disk to its
// last byte while events keep coming: the agent holds them up, at the broker,
// and does not die; within 30 s of space returning it works again.
func TestAFullDiskHoldsUpAndLosesNothing(t *testing.T) {
	g := newGateway(t, options{size: 128 << 20})
	g.on()
	g.Rouse(90 * time.Second)
	stop := g.pressing(window)
	for round := range 2 {
		g.tell("cat /dev/zero >/data/filler 2>/dev/null; sync; df -k /data | tail -1; echo GUEST full")
		testbed.Eventually(t, 2*time.Minute, "the disk is full", func() error {
			if g.machine.Said("GUEST full") <= round {
				return fmt.Errorf("it has said:\n%s", g.machine.Output())
			}
			return nil
		})
		wait := time.NewTimer(5 * time.Second) // of the story: it goes on being full
		<-wait.C
		held := g.Published() - g.Heard()
		g.tell("rm /data/filler; sync")
		freed := time.Now()
		select {
		case at := <-g.FirstNew():
			t.Logf("round %d: %d events were held up; new ones come through %s after space returned", round+1, held, at.Sub(freed))
		case <-time.After(30 * time.Second):
			t.Fatalf("no new event comes through 30 s after space returned:\n%s", g.machine.Output())
		}
		if held < 100 {
			t.Errorf("only %d events were held up: the disk was not full", held)
		}
	}
	stop()
	g.Complete(30 * time.Second)
	if n := g.machine.Said("GUEST agent ended"); n > 0 {
		t.Errorf("the agent died %d times:\n%s", n, g.machine.Output())
	}
	for _, wrong := range g.Audit(g.books()) {
		t.Error(wrong)
	}
}
