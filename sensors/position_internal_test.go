package sensors

import (
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// flashNotes counts what is written.
type flashNotes struct {
	mu    sync.Mutex
	value []byte
	puts  int
	fail  error
}

func (n *flashNotes) Get(string) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.value, nil
}

func (n *flashNotes) Put(_ string, value []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return n.fail
	}
	n.value = value
	n.puts++
	return nil
}

func (n *flashNotes) set(fail error) (puts int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fail = fail
	return n.puts
}

// reader is a replayable source of numbered events, and the agent beside it.
type reader struct {
	t     *testing.T
	notes *flashNotes
	p     *position
	last  int // number of the last event read

	mu  sync.Mutex
	all []taken
}

// taken is an event that the agent was offered.
type taken struct {
	*agent.Event
	done func(error)
}

func (r *reader) offers() []taken {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

func (r *reader) open() {
	r.t.Helper()
	p, err := openPosition("log", r.notes, func(ev *agent.Event, done func(error)) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all = append(r.all, taken{ev, done})
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.p = p
	r.last, _ = strconv.Atoi(p.mark())
}

// read offers events up to number n and tells how many there was room for.
func (r *reader) read(n int) (offered int) {
	for r.last < n {
		mark := strconv.Itoa(r.last + 1)
		if !r.p.offer(&agent.Event{Subject: "log", Data: []byte("line")}, mark) {
			return offered
		}
		r.last++
		offered++
	}
	return offered
}

// crash forgets the position as a kill does, and opens it again.
func (r *reader) crash() {
	r.p.stop()
	r.all = nil
	r.open()
}

func readers(t *testing.T, test func(r *reader)) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{t: t, notes: &flashNotes{}}
		r.open()
		test(r)
		if err := r.p.close(); err != nil {
			t.Error(err)
		}
	})
}

func TestPositionIsNotedBehindOutcomes(t *testing.T) {
	readers(t, func(r *reader) {
		if n := r.read(100); n != window {
			t.Fatalf("%d events ahead of the position, want %d", n, window)
		}
		for _, i := range []int{1, 2, 0, 5} {
			r.offers()[i].done(nil)
		}
		<-r.p.room // the note is written at once since the source waits for room
		if n := r.read(100); n != 3 {
			t.Errorf("room for %d events after the first three have outcomes, want 3", n)
		}
		first := r.offers()
		r.crash()
		if r.p.mark() != "3" {
			t.Errorf("goes on after %q, want 3", r.p.mark())
		}
		r.read(1000)
		if len(r.offers()) != window {
			t.Fatalf("%d events offered again", len(r.offers()))
		}
		for i, ev := range r.offers() {
			was := first[3+i].Origin
			if ev.Origin.Slot != was.Slot || ev.Origin.Hash != was.Hash || !ev.Origin.Redelivered {
				t.Fatalf("event %d comes again as %+v, was %+v", 4+i, ev.Origin, was)
			}
		}
		for _, o := range r.offers() {
			o.done(nil)
		}
		<-r.p.room
		r.read(r.last + 1)
		if o := r.offers()[window].Origin; o.Redelivered || o.Slot != r.offers()[0].Origin.Slot || o.Hash == r.offers()[0].Origin.Hash {
			t.Errorf("the first event that is new has %+v, the one in its slot before %+v", o, r.offers()[0].Origin)
		}
	})
}

func TestPositionIsNotedLazily(t *testing.T) {
	readers(t, func(r *reader) {
		for i := range 1000 {
			r.read(i + 1)
			r.offers()[i].done(nil)
			synctest.Wait()
		}
		if n := r.notes.set(nil); n > 1000/noteEvery+1 {
			t.Errorf("%d notes for 1000 events", n)
		}
		<-time.After(2 * noteDelay)
		synctest.Wait()
		if r.p.noted.Mark != "1000" {
			t.Errorf("noted %+v a second later", r.p.noted)
		}
		puts := r.notes.set(nil)
		<-time.After(time.Hour)
		if r.notes.set(nil) != puts {
			t.Error("noted without need")
		}
	})
}

func TestPositionRetriesInOrder(t *testing.T) {
	readers(t, func(r *reader) {
		r.read(2)
		r.offers()[0].done(errors.New("disk full"))
		r.offers()[1].done(nil)
		r.read(4) // of the same subject: they wait
		if len(r.offers()) != 2 {
			t.Fatalf("%d events offered while the first failed, want 2", len(r.offers()))
		}
		<-time.After(firstRetry)
		synctest.Wait()
		if len(r.offers()) != 5 || r.offers()[2].Event != r.offers()[0].Event {
			t.Fatalf("%d offers after the backoff, want the first event and the two behind it", len(r.offers()))
		}
		r.offers()[2].done(errors.New("disk full"))
		<-time.After(2*firstRetry - 1)
		synctest.Wait()
		if len(r.offers()) != 5 {
			t.Error("offered again before the doubled backoff was over")
		}
		<-time.After(1)
		synctest.Wait()
		for _, o := range r.offers()[3:] {
			o.done(nil)
		}
		if r.p.waiting() != 0 || r.p.mark() != "4" {
			t.Errorf("%d events wait, mark %q", r.p.waiting(), r.p.mark())
		}
	})
}

func TestPositionThatCannotBeNoted(t *testing.T) {
	readers(t, func(r *reader) {
		r.notes.set(errors.New("disk full"))
		r.read(1000)
		for _, o := range r.offers() {
			o.done(nil)
		}
		synctest.Wait()
		if r.read(1000) != 0 || r.p.err() == nil {
			t.Errorf("goes on though the position is not noted: %v", r.p.err())
		}
		r.notes.set(nil)
		<-r.p.room
		if n := r.read(1000); n != window || r.p.err() != nil {
			t.Errorf("room for %d events once it is noted, error %v", n, r.p.err())
		}
	})
}

func TestPositionThatCannotBeRead(t *testing.T) {
	readers(t, func(r *reader) {
		r.notes.value = []byte(`{"n":7,"mark":`)
		r.open()
		if r.p.mark() != "" || r.p.err() == nil {
			t.Errorf("goes on after %q, error %v", r.p.mark(), r.p.err())
		}
		r.read(1)
		r.offers()[0].done(nil)
		<-time.After(2 * noteDelay)
		synctest.Wait()
		if r.p.err() != nil || string(r.notes.value) != `{"n":1,"mark":"1"}` {
			t.Errorf("noted %s, error %v", r.notes.value, r.p.err())
		}
	})
}

func TestPositionCloseWaitsForOutcomes(t *testing.T) {
	readers(t, func(r *reader) {
		r.read(3)
		time.AfterFunc(drainWait/2, func() { r.offers()[0].done(nil) })
		if err := r.p.close(); err != nil {
			t.Fatal(err)
		}
		r.offers()[1].done(nil) // too late
		r.open()
		if r.p.mark() != "1" {
			t.Errorf("goes on after %q, want 1", r.p.mark())
		}
		if err := forgetPosition("log", r.notes); err != nil {
			t.Fatal(err)
		}
		r.open()
		if r.p.mark() != "" {
			t.Errorf("goes on after %q though it was forgotten", r.p.mark())
		}
	})
}
