package uplink_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// meter is a link with what is left of a budget, of which some is kept for
// priority 8 and 9, and of what functions may use.
type meter struct {
	mu        sync.Mutex
	left      int
	reserve   int
	functions map[string]int // what is left to them; those that are not named have no limit
	opens     time.Time      // when there is a new budget
	open      int            // admitted and not spent
	asked     int
}

func (m *meter) Admit(priority uint8, function string, n int) *uplink.Refusal {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	floor := m.reserve
	if priority >= 8 {
		floor = 0
	}
	if f, ok := m.functions[function]; ok && f < n {
		return &uplink.Refusal{At: m.opens, Why: "function " + function + " has used its day"}
	}
	if m.left-floor < n {
		return &uplink.Refusal{At: m.opens, Why: "the day is used"}
	}
	m.left -= n
	m.open += n
	if _, ok := m.functions[function]; ok {
		m.functions[function] -= n
	}
	return nil
}

func (m *meter) Spent(function string, admitted, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open -= admitted
	if function == "" {
		m.left += admitted // only asked
	}
}

// refill begins a new day.
func (m *meter) refill(left int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left, m.functions, m.opens = left, nil, time.Now().Add(24*time.Hour)
}

func weighing(seq uint64, key string, priority uint8, function string, n int) agent.Record {
	rec := leveled(seq, key, priority)
	rec.Function = function
	rec.Event.Data = make([]byte, n-len(rec.Event.ID))
	return rec
}

// With a budget the highest priority goes, all else waits for the next one
// without asking all the time, and what is to be dropped instead is.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels()
		for i := range 30 {
			p := []uint8{2, 5, 9}[i%3]
			rec := weighing(uint64(i+1), fmt.Sprint("k", i), p, "a/f", 100)
			rec.Shed = p == 2
			s.add(rec)
		}
		link := &meter{left: 1400, reserve: 300, opens: time.Now().Add(10 * time.Hour)}
		far := &target{}
		o := uplink.NewOutbox(s, s, far, uplink.Options{Name: "central", Link: link, Log: quiet})
		defer run(t, o)()
		pass(9 * time.Hour)
		st := o.Status()
		if len(far.ids()) != 11 || st.ByPriority != [10]int{5: 9} || st.Drops.OverBudget != 10 || st.OverBudget == "" {
			t.Errorf("%d went, %+v", len(far.ids()), st)
		}
		if link.asked > 60 || link.open != 0 {
			t.Errorf("asked %d times, %d bytes are still set aside", link.asked, link.open)
		}
		s.add(weighing(100, "k", 9, "a/f", 100)) // what is kept for it is there
		pass(time.Minute)
		if ids := far.ids(); ids[len(ids)-1] != "k-100" {
			t.Errorf("the last one was %s", ids[len(ids)-1])
		}
		link.refill(10_000)
		pass(2 * time.Hour)
		if st := o.Status(); st.Waiting != 0 || st.OverBudget != "" || st.Drops.OverBudget != 10 {
			t.Errorf("on the next day: %+v", st)
		}
	})
}

// A function that has used its share holds back nobody else, though its records
// are many more than what is in memory; and they go in order the next day.
func TestBudgetOfAFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels()
		for i := range 3000 {
			f := "a/greedy"
			if i%100 == 99 {
				f = "a/modest"
			}
			s.add(weighing(uint64(i+1), f, 5, f, 100))
		}
		link := &meter{left: 1 << 30, functions: map[string]int{"a/greedy": 1000}, opens: time.Now().Add(10 * time.Hour)}
		far := &target{}
		o := uplink.NewOutbox(s, s, far, uplink.Options{Link: link, Log: quiet})
		defer run(t, o)()
		pass(time.Hour)
		if n := len(far.ids()); n != 40 {
			t.Fatalf("%d went; want 10 of the one and 30 of the other", n)
		}
		s.add(weighing(5000, "a/modest", 5, "a/modest", 100))
		pass(time.Minute)
		if ids := far.ids(); ids[len(ids)-1] != "a/modest-5000" {
			t.Errorf("the last one was %s", ids[len(ids)-1])
		}
		link.refill(1 << 30)
		pass(10 * time.Hour)
		if s.left() != 0 || len(far.ids()) != 3001 {
			t.Errorf("%d left, %d delivered", s.left(), len(far.ids()))
		}
		var greedy []int
		for _, id := range far.ids() {
			var seq int
			if n, _ := fmt.Sscanf(id, "a/greedy-%d", &seq); n == 1 {
				greedy = append(greedy, seq)
			}
		}
		if !slices.IsSorted(greedy) {
			t.Error("the records of the function went out of order")
		}
	})
}

// A link that is busy for a moment is no reason to drop anything.
func TestRateDropsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels()
		for i := range 100 {
			rec := weighing(uint64(i+1), "k", 5, "a/f", 100)
			rec.Shed = true
			s.add(rec)
		}
		link := &rate{}
		o := uplink.NewOutbox(s, s, &target{}, uplink.Options{Link: link, Log: quiet})
		defer run(t, o)()
		start := time.Now()
		for s.left() > 0 && time.Since(start) < time.Hour {
			pass(time.Second)
		}
		if st := o.Status(); st.Delivered != 100 || st.Drops.OverBudget != 0 || time.Since(start) < 19*time.Second || time.Since(start) > 25*time.Second {
			t.Errorf("after %v: %+v", time.Since(start), st)
		}
	})
}

// rate is a link that carries one record in a fifth of a second.
type rate struct {
	mu   sync.Mutex
	next time.Time
}

func (r *rate) Admit(uint8, string, int) *uplink.Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); !r.next.After(now) {
		r.next = now.Add(200 * time.Millisecond)
		return nil
	}
	return &uplink.Refusal{At: r.next, Why: "it is busy"}
}

func (r *rate) Spent(string, int, int) {}
