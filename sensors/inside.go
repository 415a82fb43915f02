package sensors

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

const (
	maxTold        = 256 // events that wait to be offered
	insideUnderWay = 64  // events that wait for their outcome
)

// Inside is the source of events about the agent itself: it started, a broker is
// away, the disk is nearly full. Whoever notices tells it. (What functions do,
// the agent knows itself, and offers by itself.)
type Inside struct {
	source   string // URI of its events
	log      *slog.Logger
	interest *interest
	followed atomic.Bool   // it is known what triggers want
	more     chan struct{} // capacity 1: something was told

	mu      sync.Mutex
	told    []*agent.Event // oldest first
	dropped int64
	ring    *ring // nil while it does not run
}

var _ agent.Source = (*Inside)(nil)

// NewInside makes the source of what happens to the agent of a device.
func NewInside(device string, log *slog.Logger) *Inside {
	return &Inside{
		source: "/" + device + "/agent", log: cmp.Or(log, slog.Default()).With("source", agent.ViaInside),
		interest: newInterest(agent.ViaInside), more: make(chan struct{}, 1),
	}
}

// Tell makes an event of data, as JSON, if a trigger wants it. It never waits.
// What nobody took yet is kept, the last 256 events; a crash forgets it.
func (s *Inside) Tell(topic string, data any) {
	if s.followed.Load() && !s.interest.wants(topic) {
		return
	}
	text, err := json.Marshal(data)
	if err != nil {
		s.log.Error("cannot tell what happened", "topic", topic, "error", err)
		return
	}
	ev := &agent.Event{
		Source: s.source, Type: agent.TypeInside, Subject: topic, Time: time.Now(),
		ContentType: "application/json", Data: text, Via: agent.ViaInside, QoS: 1,
	}
	s.mu.Lock()
	if s.told = append(s.told, ev); len(s.told) > maxTold {
		s.told = s.told[1:]
		s.dropped++
	}
	s.mu.Unlock()
	signal(s.more)
}

// Follow implements agent.Source.
func (s *Inside) Follow(triggers []agent.Trigger) {
	s.interest.Follow(triggers)
	s.followed.Store(true)
}

// Run implements agent.Source.
func (s *Inside) Run(ctx context.Context, offer agent.Offer) error {
	r := newRing(offer, insideUnderWay)
	s.setRing(r)
	defer s.setRing(nil)
	var helper sync.WaitGroup
	defer helper.Wait()
	helper.Go(func() { r.run(ctx.Done()) })
	for {
		ev := s.first()
		for ev != nil && r.add(ev, func() {}) {
			s.remove(ev)
			ev = s.first()
		}
		room := r.room
		if ev == nil {
			room = nil // nothing needs it
		}
		select {
		case <-room:
		case <-s.more:
		case <-ctx.Done():
			return nil
		}
	}
}

// first is the oldest event that a trigger may want, nil if there is none.
func (s *Inside) first() *agent.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.told) > 0 && !s.interest.wants(s.told[0].Subject) {
		s.told = s.told[1:]
	}
	if len(s.told) == 0 {
		return nil
	}
	return s.told[0]
}

// remove takes ev out, unless it was dropped meanwhile.
func (s *Inside) remove(ev *agent.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.told) > 0 && s.told[0] == ev {
		s.told = s.told[1:]
	}
}

func (s *Inside) setRing(r *ring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring = r
}

// Status tells how the source is.
func (s *Inside) Status() agent.SourceStatus {
	filters, faults := s.interest.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := agent.SourceStatus{Name: agent.ViaInside, Kind: "inside", Connected: s.ring != nil, Filters: filters}
	if s.ring != nil {
		st.Inflight = len(s.told) + s.ring.waiting()
	}
	st.Note = joinNotes(nil, faults...)
	if s.dropped > 0 {
		st.Note = joinNotes(nil, st.Note, fmt.Sprintf("%d events dropped: nobody took them in time", s.dropped))
	}
	return st
}
