package sensors_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
)

func testDelivers(t *testing.T, p *place) {
	s := &sink{keep: true}
	began := time.Now()
	src, _ := p.start(t, s)
	got := p.make(t, s, 3, "one", "two", "three")[:3]
	idle(t, src)
	for i, o := range got {
		if o.Source != p.looks.Source || o.Type != p.looks.Type || p.looks.Subject != "" && o.Subject != p.looks.Subject ||
			o.ContentType != p.looks.ContentType || o.Via != p.looks.Via || o.QoS != p.looks.QoS {
			t.Errorf("event %d is %+v, want as %+v", i, o.Event, p.looks)
		}
		if o.Time.Before(began.Add(-time.Second)) || o.Time.After(time.Now().Add(time.Second)) {
			t.Errorf("event %d: its time is %s, about %s was due", i, o.Time, began)
		}
		if p.looks.QoS > 0 && o.done == nil {
			t.Errorf("event %d: nobody waits for its outcome", i)
		}
		if p.lasting && (o.Origin.Slot == "" || o.Origin.Hash == 0) {
			t.Errorf("event %d: origin %+v is never recognised", i, o.Origin)
		}
	}
	if texts := s.texts(0); !p.own && !slices.Equal(texts, p.datas("one", "two", "three")) {
		t.Errorf("got %q", texts)
	}
	st := src.Status()
	if st.Name != p.looks.Via || st.Kind == "" || len(st.Filters) == 0 || st.Note != "" {
		t.Errorf("status %+v", st)
	}
}

// testStops ends a source while nothing, and while something, waits for its outcome.
func testStops(t *testing.T, p *place) {
	for _, s := range []*sink{{keep: true}, {}} {
		_, stop := p.start(t, s)
		if !p.own {
			go p.happen("something")
		}
		s.wait(t, 1)
		stop()
		offers := s.offers()
		for _, o := range offers {
			if !s.keep && o.done != nil {
				o.done(nil) // too late
			}
		}
		testbed.Eventually(t, patience, "its goroutines are gone", func() error {
			if left := goroutines(); left != "" {
				return errors.New(left)
			}
			return nil
		})
		if n := len(s.offers()); n != len(offers) {
			t.Errorf("it offered %d events after its end", n-len(offers))
		}
	}
}

// goroutines is the stack of one that a source began and that still runs, "" if
// there is none. What tests run themselves is in another package.
func goroutines() string {
	buf := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "/skerry/sensors.") || strings.Contains(stack, "/skerry/sensors/") {
			return stack
		}
	}
	return ""
}

// testPushesBack withholds all outcomes, then gives them.
func testPushesBack(t *testing.T, p *place) {
	s := &sink{}
	src, _ := p.start(t, s)
	var texts []string
	for i := range 2*p.bound + 10 {
		texts = append(texts, fmt.Sprintf("%05d", i))
	}
	if !p.own {
		go p.happen(texts...)
	}
	enough := time.Time{}
	testbed.Eventually(t, patience, "it is full and stays so for a while", func() error {
		n := len(distinct(s))
		if n > p.bound {
			t.Fatalf("%d events without an outcome, want %d at most", n, p.bound)
		}
		if n == p.bound && enough.IsZero() {
			enough = time.Now().Add(1500 * time.Millisecond)
		}
		if enough.IsZero() || time.Now().Before(enough) {
			return fmt.Errorf("%d events", n)
		}
		return nil
	})
	s.release()
	if p.own {
		s.wait(t, 2*p.bound)
		return
	}
	testbed.Eventually(t, patience, "every event", func() error {
		if got := distinct(s); !slices.Equal(got, p.datas(texts...)) {
			return fmt.Errorf("%d of %d: %.200q", len(got), len(texts), got)
		}
		return nil
	})
	idle(t, src)
}

// distinct are the data of what was offered, sorted, each once.
func distinct(s *sink) []string {
	texts := s.texts(0)
	slices.Sort(texts)
	return slices.Compact(texts)
}

// release gives everything its outcome, and all that comes.
func (s *sink) release() {
	s.mu.Lock()
	s.keep = true
	waiting := slices.Clone(s.got)
	s.mu.Unlock()
	for _, o := range waiting {
		if o.done != nil {
			o.done(nil)
		}
	}
}

// testFailedCommit has an event offered again until it has an outcome.
func testFailedCommit(t *testing.T, p *place) {
	s := &sink{}
	src, _ := p.start(t, s)
	if !p.own {
		go p.happen("precious")
	}
	first := s.wait(t, 1)[0]
	first.done(errors.New("disk full"))
	again := s.again(t, first, 1)
	again.done(errors.New("disk full"))
	s.again(t, first, 2)
	s.release()
	if !p.own {
		idle(t, src)
	}
}

// again waits for the nth offer after the first of the event that o is.
func (s *sink) again(t *testing.T, o offer, n int) (found offer) {
	t.Helper()
	testbed.Eventually(t, patience, "the event is offered again", func() error {
		times := 0
		for _, other := range s.offers() {
			if other.ID != o.ID || string(other.Data) != string(o.Data) ||
				other.Origin.Slot != o.Origin.Slot || other.Origin.Hash != o.Origin.Hash {
				continue
			}
			if times++; times > n {
				found = other
				return nil
			}
		}
		return fmt.Errorf("%d times", times)
	})
	return found
}

// testRestart stops with events that have no outcome: they come again, and only they.
func testRestart(t *testing.T, p *place) {
	s := &sink{}
	_, stop := p.start(t, s)
	got := p.make(t, s, 3, "one", "two", "three")
	got[0].done(nil)
	stop() // it waits a moment for the outcomes of the others

	s = &sink{}
	src, stop := p.start(t, s)
	again := s.wait(t, 2)
	for i, was := range got[1:3] {
		want := was.Origin
		want.Redelivered = true
		if o := again[i]; o.Origin != want || o.ID != was.ID || string(o.Data) != string(was.Data) {
			t.Errorf("event %d was %+v %q, comes again as %+v %q", i+1, was.Origin, was.Data, o.Origin, o.Data)
		}
	}
	s.release()
	if !p.own {
		idle(t, src)
	}
	stop()
	seen := s.texts(0)

	s = &sink{keep: true}
	p.start(t, s)
	if text := string(p.make(t, s, 1, "new")[0].Data); slices.Contains(seen, text) {
		t.Errorf("%q comes again though it had an outcome", text)
	}
}

// testBadInput shows that what no function can have is told, and stops nothing.
func testBadInput(t *testing.T, p *place) {
	s := &sink{keep: true}
	src, _ := p.start(t, s)
	p.spoil()
	noted(t, src, "the bad input", func(note string) bool { return strings.Contains(note, p.spoilt) })
	if got := p.make(t, s, 1, "good"); !p.own && string(got[0].Data) != p.datas("good")[0] {
		t.Errorf("got %q after the bad input", got[0].Data)
	}
}

// testReconnect loses the far side, with an event that has no outcome.
func testReconnect(t *testing.T, p *place) {
	s := &sink{}
	src, _ := p.start(t, s)
	p.make(t, s, 1, "before")
	p.cut()
	s.release()
	p.happen("after")
	testbed.Eventually(t, patience, "what came after", func() error {
		if got := distinct(s); !slices.Equal(got, p.datas("after", "before")) {
			return fmt.Errorf("got %q", got)
		}
		return nil
	})
	idle(t, src)
}
