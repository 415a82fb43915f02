package powercut

import (
	"cmp"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
)

const (
	window   = 500              // events on their way
	ready    = 10 * time.Second // from the agent's start to the first event
	complete = 3 * time.Minute
)

// TestPowerCutsLoseNothingAcknowledged takes the power away in mid-write, again
// and again: no acknowledged event is lost or counted twice, follow-ups and
// publishes keep their ids and their order, and nobody repairs anything. CUTS
// sets how often.
func TestPowerCutsLoseNothingAcknowledged(t *testing.T) {
	cuts := 6
	if n, err := strconv.Atoi(os.Getenv("CUTS")); err == nil {
		cuts = n
	}
	for _, tt := range []struct {
		name     string
		embedded bool
		cuts     int
	}{
		{"broker outside", false, cuts},
		{"embedded broker", true, (cuts + 2) / 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t, options{embedded: tt.embedded})
			took, complaints := g.cutRepeatedly(tt.cuts)
			g.Complete(complete)
			for _, wrong := range slices.Concat(g.Audit(g.books()), complaints, g.complaints()) {
				t.Error(wrong)
			}
			g.report(took)
		})
	}
}

// report prints the figures, and holds the time that a start may take.
func (g *gateway) report(took []start) {
	g.t.Helper()
	slices.SortFunc(took, func(a, b start) int { return cmp.Compare(a.processor, b.processor) })
	median, worst := took[len(took)/2], took[len(took)-1]
	ups, outs := g.Repeats()
	disk := g.disk.Stats()
	g.t.Logf("%d cuts, %d events; %d follow-ups and %d publishes came again", len(took), g.Published(), ups, outs)
	g.t.Logf("disk: %d flushes, %d MB written, %d sectors lost in cuts", disk.Flushes, disk.Written>>20, disk.Lost)
	g.t.Logf("from the agent's start to the first event: median %s (processor %s), worst %s (%s)",
		median.wall, median.processor, worst.wall, worst.processor)
	if median.processor > ready {
		g.t.Errorf("it takes %s of the processor from the agent's start to the first event, at most %s", median.processor, ready)
	}
}

// TestAPowerCutIsSeenWithoutSyncing is the proof that the rig sees what it is
// for: an agent that does not sync its journal must be found out.
func TestAPowerCutIsSeenWithoutSyncing(t *testing.T) {
	g := newGateway(t, options{tags: "nosync"})
	g.on()
	g.Rouse(90 * time.Second)
	stop := g.pressing(window)
	<-time.After(5 * time.Second) // time in the story
	g.cut(1)
	stop()
	g.on()
	g.Rouse(complete) // behind all that the broker still had
	wrong := g.Audit(g.books())
	t.Logf("found: %q", wrong)
	if len(wrong) == 0 {
		t.Error("an agent that does not sync came through: these power cuts prove nothing")
	}
}

// cutRepeatedly runs the gateway under load, cuts its power n times and starts it
// once more. It returns how long each start took, and what the machines
// complained about.
func (g *gateway) cutRepeatedly(n int) (took []start, complaints []string) {
	g.t.Helper()
	g.on()
	if g.boot.Forward != 0 { // the broker is there now
		g.Sensors("tcp://" + testbed.Addr(g.boot.Forward))
	}
	g.Rouse(90 * time.Second)
	stop := g.pressing(window)
	for i := range n {
		<-time.After(time.Duration(20+rand.IntN(3000)) * time.Millisecond) // time in the story
		g.cut([]float64{1, 0.5, 0.1}[i%3])
		complaints = append(complaints, g.complaints()...)
		g.on()
		took = append(took, g.recovered())
	}
	stop()
	return took, complaints
}
