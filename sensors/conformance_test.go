package sensors_test

import (
	"fmt"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// conforming is what a device needs of a source.
type conforming interface {
	agent.Source
	statuser
}

// place is where a source under test lives: what is around it, and how it shows
// there. A source and its restarts share one place.
type place struct {
	open     func() (conforming, error) // the source, anew: as after a restart of the agent
	triggers []agent.Trigger            // what it follows
	ready    func(src conforming)       // waits until it takes what happens; nil: until it is connected
	happen   func(texts ...string)      // each makes an event with this data; it may return before it is there
	own      bool                       // the source says for itself what happens, at least every 100 ms: happen is nil
	says     func(text string) string   // the data of the event that text makes; nil: that text
	looks    agent.Event                // Source, Type, Subject ("": each has its own), ContentType, Via and QoS of every event

	bound   int    // most events without an outcome
	lasting bool   // what had no outcome when the agent stopped comes again
	once    bool   // no event is offered a second time: whoever made it is told, and does so
	spoil   func() // something happens that can be no event; nil: nothing can
	spoilt  string // what the note says of it
	cut     func() // the far side is lost for a moment; nil: there is none
}

// sources are all there are, each with what makes its place. A new source gets a
// line here and a function beside its tests.
var sources = []struct {
	name  string
	place func(t *testing.T) *place
}{
	{"mqtt", mqttPlace},
	{"broker", brokerPlace},
	{"schedule", schedulePlace},
	{"inside", insidePlace},
	{"http", httpPlace},
	{"files", filesPlace},
	{"tail", tailPlace},
	{"process", processPlace},
}

// TestConformance has every source do what the agent relies on.
func TestConformance(t *testing.T) {
	cases := []struct {
		name string
		has  func(p *place) bool // nil: every source
		test func(t *testing.T, p *place)
	}{
		{"delivers", nil, testDelivers},
		{"stops", nil, testStops},
		{"pushes back", nil, testPushesBack},
		{"failed commit", func(p *place) bool { return !p.once }, testFailedCommit},
		{"restart", func(p *place) bool { return p.lasting }, testRestart},
		{"bad input", func(p *place) bool { return p.spoil != nil }, testBadInput},
		{"reconnect", func(p *place) bool { return p.cut != nil }, testReconnect},
	}
	for _, src := range sources {
		for _, c := range cases {
			t.Run(src.name+"/"+c.name, func(t *testing.T) {
				if p := src.place(t); c.has == nil || c.has(p) {
					c.test(t, p)
				}
			})
		}
	}
}

// start runs the source, as after a restart of the agent, and waits until it is ready.
func (p *place) start(t *testing.T, s *sink) (src conforming, stop func()) {
	t.Helper()
	src, err := p.open()
	if err != nil {
		t.Fatal(err)
	}
	stop = start(t, src, s)
	src.Follow(append(p.triggers, agent.Trigger{Name: "app/foreign", Via: "elsewhere", Filter: "#"}))
	if p.ready != nil {
		p.ready(src)
		return src, stop
	}
	testbed.Eventually(t, patience, "the source is connected", func() error {
		if st := src.Status(); !st.Connected {
			return fmt.Errorf("status %+v", st)
		}
		return nil
	})
	return src, stop
}

// make has things happen, and waits until the sink has n events in all.
func (p *place) make(t *testing.T, s *sink, n int, texts ...string) []offer {
	t.Helper()
	if !p.own {
		p.happen(texts...)
	}
	return s.wait(t, n)
}

// datas are the data of the events that texts make.
func (p *place) datas(texts ...string) (datas []string) {
	for _, text := range texts {
		if p.says != nil {
			text = p.says(text)
		}
		datas = append(datas, text)
	}
	return datas
}
