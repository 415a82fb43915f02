package powercut

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
)

// TestTheClockMayBeWrong sets the machine's clock while the agent runs, and
// starts it under clocks that are wrong by decades: events, schedules and
// retries go on, and nothing that is kept for a while goes before its time.
func TestTheClockMayBeWrong(t *testing.T) {
	g := newGateway(t, options{app: scheduled(t)})
	g.boot.Date = 100 // 1970
	g.on()
	g.Rouse(90 * time.Second)
	g.worksOn("a start in 1970")

	const year = 365 * 24 * 3600
	now := time.Now().Unix()
	for _, step := range []struct {
		what string
		to   int64
	}{
		{"from 1970 to now", now},
		{"a year ahead", now + year},
		{"a year back", now},
		{"another year back", now - year},
		{"to 2038, seconds before 32 bits are over", 1<<31 - 8},
		{"from 2038 to now", now},
	} {
		g.Publish("!") // its second try is due when the clock has been set
		g.tell("date -s @" + strconv.FormatInt(step.to, 10))
		g.worksOn(step.what)
	}

	for _, step := range []struct {
		what string
		to   int64
	}{
		{"a restart 20 years back", now - 20*year},
		{"a restart in 2039", now + 13*year},
	} {
		g.Publish("!")
		<-time.After(time.Second) // time in the story: its retry waits on disk by now
		g.restart(step.to)
		g.worksOn(step.what)
	}

	g.Settle()
	g.Complete(complete)
	if found := g.complaints(); len(found) > 0 {
		t.Errorf("complaints: %q", found)
	}
	books := g.books()
	for _, wrong := range g.Audit(books) {
		t.Error(wrong)
	}
	if books["expired"] != "" {
		t.Errorf("a value that is kept for an hour had gone %s times: the clock was believed", books["expired"])
	}
}

// scheduled is the ledger's app with a trigger for each second, and fast retries.
func scheduled(t *testing.T) string {
	t.Helper()
	return writeApp(t, `
triggers:
  - {name: in, function: ledger, mqtt: {topic: "in/#", qos: 1}, retry: {maxAttempts: 5, backoff: 1s}}
  - {name: second, function: ledger, schedule: {every: 1s}}
`)
}

// worksOn checks that new events come through, failed ones too, and that the
// schedule goes on at its own pace.
func (g *gateway) worksOn(what string) {
	g.t.Helper()
	for _, mark := range []string{"", "~", "!", "?", ""} {
		g.Publish(mark)
	}
	g.Settle()
	g.t.Log(what)
	g.Complete(time.Minute)
	ticks, began := g.Ticks(), time.Now()
	testbed.Eventually(g.t, 30*time.Second, "the schedule goes on", func() error {
		if n := g.Ticks() - ticks; n < 3 {
			return fmt.Errorf("%d ticks", n)
		}
		return nil
	})
	if n, most := g.Ticks()-ticks, 5+int(time.Since(began).Seconds()); n > most {
		g.t.Errorf("%s: %d ticks of a second in %s", what, n, time.Since(began))
	}
}

// restart stops the agent in order, sets the clock and starts it again.
func (g *gateway) restart(date int64) {
	g.t.Helper()
	stopped := g.machine.Said("GUEST stopped")
	g.tell("stop; date -s @" + strconv.FormatInt(date, 10) + "; start")
	testbed.Eventually(g.t, 30*time.Second, "the agent is stopped", func() error {
		if g.machine.Said("GUEST stopped") == stopped {
			return fmt.Errorf("it has said:\n%s", g.machine.Output())
		}
		return nil
	})
}
