package agent_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

const latestQueue = "target/faas/3/latest"

// cutStore is a store whose machine stops: what is being committed then is kept or
// not, and nobody hears of it.
type cutStore struct {
	*memory
	cut atomic.Int32 // 0: it runs; 1: it stops behind the next commit; 2: it has stopped
}

func (s *cutStore) Commit(ctx context.Context, f *agent.Frame) error {
	switch s.cut.Load() {
	case 2:
		return errBroken
	case 1:
		if err := s.memory.Commit(ctx, f); err != nil {
			return err
		}
		s.cut.Store(2)
		return errBroken
	}
	return s.memory.Commit(ctx, f)
}

// replaceWorld is a store with an agent on it that comes and goes, a target that
// takes, refuses or is away, and a person who sends dead letters back.
type replaceWorld struct {
	*bench
	t       *testing.T
	store   *cutStore
	rng     *rand.Rand
	faults  *rand.Rand          // guarded by the store's lock, like broken
	broken  bool                // commits of the agent fail now and then
	last    map[string]int      // by topic: number of the last event
	gone    map[[2]string][]int // by function and topic: what was delivered
	waiting []*offered          // not acknowledged, in order
}

type offered struct {
	topic, data string
	origin      agent.Origin
	acked       <-chan error
}

// TestTheNewestOfEachKeyWaits lets two functions send to one target by
// keepLatest. Whatever fails or stops, what waits in the end is the newest of
// each key, and nothing gave way to something older.
func TestTheNewestOfEachKeyWaits(t *testing.T) {
	seeds := 20
	if n, err := strconv.Atoi(os.Getenv("TEST_SEEDS")); err == nil {
		seeds = n
	}
	for seed := range seeds {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &replaceWorld{
					t: t, store: &cutStore{memory: newMemory()}, rng: rand.New(rand.NewPCG(uint64(seed), 6)), faults: rand.New(rand.NewPCG(uint64(seed), 7)),
					last: map[string]int{}, gone: map[[2]string][]int{},
				}
				w.store.fail = w.watch
				w.begin()
				for range 60 {
					w.step()
				}
				w.end()
			})
		})
	}
}

func (w *replaceWorld) begin() {
	send := func(_ context.Context, inv *agent.Invocation) error {
		if _, err := inv.Add("runs", 1); err != nil { // so that workers get in each other's way
			return err
		}
		return inv.Followup("faas", "", inv.Event.Data)
	}
	w.bench = startOn(w.t, w.store, guests{"app/f": send, "app/g": send}, agent.Options{Grace: time.Millisecond})
	var functions []agent.Function
	var triggers []agent.Trigger
	for _, name := range []string{"app/f", "app/g"} {
		f := fn(name)
		f.Limits = agent.DefaultLimits
		f.Limits.Concurrency = 3
		f.Ways = []agent.TargetWay{{Target: "faas", Way: agent.Way{Priority: 3, Latest: true}}}
		functions, triggers = append(functions, f), append(triggers, on(name, "s/+"))
	}
	w.apply(functions, triggers...)
}

func (w *replaceWorld) step() {
	switch n := w.rng.IntN(100); {
	case n < 50:
		for range 1 + w.rng.IntN(20) {
			w.event()
		}
	case n < 60:
		w.settle()
	case n < 75:
		w.target()
	case n < 85:
		w.redrive()
	case n < 92:
		w.store.mu.Lock()
		w.broken = !w.broken
		w.store.mu.Unlock()
	default:
		w.crash()
	}
}

func (w *replaceWorld) event() {
	topic := "s/" + strconv.Itoa(w.rng.IntN(5))
	w.last[topic]++
	o := &offered{topic: topic, data: strconv.Itoa(w.last[topic])}
	o.origin = agent.Origin{Slot: "plant/" + topic + "/" + o.data, Hash: 1}
	o.acked = w.offer(o.topic, o.data, o.origin)
	w.waiting = append(w.waiting, o)
}

// settle waits until all is acknowledged.
func (w *replaceWorld) settle() {
	w.store.mu.Lock()
	w.broken = false
	w.store.mu.Unlock()
	for _, o := range w.waiting {
		w.wait(o.acked)
	}
	w.waiting = nil
}

// crash stops the agent in the midst of things, or its machine. What it did not
// acknowledge comes again.
func (w *replaceWorld) crash() {
	if w.store.cut.Store(int32(w.rng.IntN(3))); w.store.cut.Load() == 1 {
		w.event()
		synctest.Wait()
	}
	w.stop()
	w.store.cut.Store(0)
	var again []*offered
	for _, o := range w.waiting {
		select {
		case err := <-o.acked:
			if err == nil {
				continue
			}
		default:
		}
		again = append(again, o)
	}
	w.begin()
	for _, o := range again {
		o.origin.Redelivered = true
		o.acked = w.offer(o.topic, o.data, o.origin)
	}
	w.waiting = again
}

// target takes some of what waits, or refuses it for good.
func (w *replaceWorld) target() {
	for _, r := range w.store.queue(latestQueue) {
		f := &agent.Frame{Done: []uint64{r.Seq}, Within: byTarget}
		switch n := w.rng.IntN(6); {
		case n == 0:
			dead := r
			dead.Queue, dead.Kind, dead.Origin, dead.Reason = agent.QueueDead, agent.KindDead, r.Queue, "refused"
			f.Add = []agent.Record{dead}
		case n > 2:
			continue
		default:
			w.gone[[2]string{r.Function, r.Key}] = append(w.gone[[2]string{r.Function, r.Key}], number(&r))
		}
		if err := w.store.Commit(context.Background(), f); err != nil {
			w.t.Fatal(err)
		}
	}
}

// byTarget marks frames of the target.
const byTarget = 42 * time.Second

// redrive sends some letters back, in an order of its own.
func (w *replaceWorld) redrive() {
	var f agent.DeadFilter
	for _, r := range w.store.queue(agent.QueueDead) {
		if w.rng.IntN(2) == 0 {
			f.IDs = append(f.IDs, r.Seq)
		}
	}
	if w.rng.IntN(3) == 0 {
		f.IDs = nil
	}
	if _, err := w.DeadBox().Redrive(context.Background(), f, nil); err != nil && !errors.Is(err, errBroken) {
		w.t.Fatal(err)
	}
}

var errBroken = errors.New("input/output error")

func number(r *agent.Record) int {
	n, _ := strconv.Atoi(string(r.Event.Data))
	return n
}

// watch sees each frame before it is committed, under the lock of the store.
func (w *replaceWorld) watch(f *agent.Frame) error {
	if f.Within == byTarget {
		return nil
	}
	if w.broken && len(f.Add) > 0 && w.faults.IntN(3) == 0 {
		return errBroken
	}
	newer := func(of *agent.Record, among []agent.Record) bool {
		return slices.ContainsFunc(among, func(r agent.Record) bool {
			return r.Queue == latestQueue && r.Latest && r.Function == of.Function && r.Key == of.Key && number(&r) > number(of)
		})
	}
	for _, seq := range f.Done {
		i := slices.IndexFunc(w.store.records, func(r agent.Record) bool { return r.Seq == seq })
		if i < 0 {
			continue
		}
		switch r := &w.store.records[i]; {
		case r.Queue == latestQueue && !newer(r, f.Add):
			w.t.Errorf("%s of %s, number %s, leaves for nothing newer", r.Key, r.Function, r.Event.Data)
		case r.Queue == agent.QueueDead && !newer(r, w.store.records) &&
			!slices.ContainsFunc(f.Add, func(again agent.Record) bool { return again.Event.ID == r.Event.ID }):
			w.t.Errorf("the letter of %s of %s, number %s, leaves for nothing newer", r.Key, r.Function, r.Event.Data)
		}
	}
	for i := range f.Add {
		if r := &f.Add[i]; r.Queue == latestQueue && newer(r, w.store.records) {
			w.t.Errorf("%s of %s, number %s, comes after a newer one", r.Key, r.Function, r.Event.Data)
		}
	}
	return nil
}

// end looks at what waits when all is done.
func (w *replaceWorld) end() {
	w.crash()
	w.settle()
	w.stop()
	for topic, last := range w.last {
		for _, function := range []string{"app/f", "app/g"} {
			of := [2]string{function, topic}
			var newest, others []int
			for _, r := range w.store.queue(latestQueue) {
				switch {
				case r.Function != function || r.Key != topic:
				case r.Latest:
					newest = append(newest, number(&r))
				default:
					others = append(others, number(&r))
				}
			}
			what := fmt.Sprintf("%v: the last is %d, and %v wait, %v came back, %v were delivered", of, last, newest, others, w.gone[of])
			ended := slices.Contains(w.gone[of], last) || slices.Contains(others, last) || w.dead(of, last)
			switch {
			case len(newest) > 1, len(newest) == 1 && len(others) > 0:
				w.t.Error(what)
			case !ended && !slices.Equal(newest, []int{last}):
				w.t.Error(what)
			}
		}
	}
}

func (w *replaceWorld) dead(of [2]string, last int) bool {
	return slices.ContainsFunc(w.store.queue(agent.QueueDead), func(r agent.Record) bool {
		return r.Function == of[0] && r.Key == of[1] && number(&r) == last
	})
}
