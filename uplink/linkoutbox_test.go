package uplink_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	realstore "github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/uplink"
)

// farSide notes which records it gets, "priority/number" each.
type farSide struct {
	mu  sync.Mutex
	got map[string]int
}

func (f *farSide) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got[r.Header.Get("Idempotency-Key")]++
}

// byPriority is how many records of each priority came.
func (f *farSide) byPriority() (n [10]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.got {
		n[id[0]-'0']++
	}
	return n
}

// offer commits records of all priorities, in no order, of 10 MB in all.
func offer(t *testing.T, s *realstore.Store) (byPriority [10]int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	for bytes := 0; bytes < 10_000_000; {
		p := rnd.IntN(10)
		rec := sample()
		rec.Queue, rec.Priority, rec.Function = agent.QueueTarget("erp", uint8(p), false), uint8(p), "app/report"
		rec.Key = "" // any order
		rec.Event.ID = fmt.Sprintf("%d/%d", p, byPriority[p])
		rec.Event.Data = []byte(`"` + strings.Repeat("m", 200+rnd.IntN(1600)) + `"`)
		if err := s.Commit(t.Context(), &agent.Frame{Add: []agent.Record{rec}, Lazy: true}); err != nil {
			t.Fatal(err)
		}
		bytes += len(rec.Event.Data)
		byPriority[p]++
	}
	return byPriority
}

// TestABudgetGoesToTheHighestPriorities: with 1 MB a day and 10 MB offered the
// link carries the highest priorities and nothing else, within its budget, by
// the count of the packets.
func TestABudgetGoesToTheHighestPriorities(t *testing.T) {
	if !alone(t) {
		return
	}
	const day, reserve = 1_000_000, 100_000
	const inFlight, request, closing = 16, 3000, 16 * 4 * 52 // bytes of a request, and of closing connections
	far := &farSide{got: map[string]int{}}
	srv := httptest.NewServer(far)
	defer srv.Close()
	s := openStore(t, t.TempDir(), realstore.Options{NoSync: true})
	offered := offer(t, s)
	c := newClock("2026-11-21 08:00")
	m, err := uplink.NewMeter(c.opts(uplink.LinkOptions{Day: day, Reserve: reserve}), s)
	if err != nil {
		t.Fatal(err)
	}
	target, err := uplink.Open(uplink.TargetConfig{Name: "erp", Kind: "http", URL: srv.URL, Dial: m.DialContext})
	if err != nil {
		t.Fatal(err)
	}
	start := onWire(t)
	for today, least := range []int64{day, day, day - reserve} {
		o := uplink.NewOutbox(s.Levels(uplink.Levels("erp")...), s, target, uplink.Options{Name: "erp", InFlight: inFlight, Link: m})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() { ended <- m.Run(ctx) }()
		go func() { ended <- o.Run(ctx) }()
		testbed.Eventually(t, 60*time.Second, "the budget is used", func() error {
			if st, l := o.Status(), m.Status(); st.OverBudget == "" || l.Flying > 0 || l.Day.Used < least-request-closing {
				return fmt.Errorf("%+v, %+v", st, l)
			}
			return nil
		})
		why, err := o.Why(0)
		if err != nil || !strings.Contains(strings.Join(why, " "), "of the day's 976.6 KiB of link lte are used") {
			t.Errorf("why says %q, %v", why, err)
		}
		cancel()
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Fatal(err)
		}
		compareWire(t, m, start)
		if used := m.Status().Day.Used; used > day+request {
			t.Errorf("%d bytes are used, the budget is %d", used, day)
		}
		checkHighest(t, offered, far.byPriority(), fmt.Sprint("day ", today+1))
		c.nextDay()
	}
	for id, n := range far.got {
		if n > 1 {
			t.Errorf("record %s came %d times", id, n)
		}
	}
}

// checkHighest fails if a record came though one of a higher priority did not.
func checkHighest(t *testing.T, offered, got [10]int, when string) {
	t.Helper()
	for p := 9; p > 0; p-- {
		if got[p] < offered[p] && got[p-1] > 0 {
			t.Errorf("%s: %d of %d records of priority %d came, and %d of priority %d", when, got[p], offered[p], p, got[p-1], p-1)
		}
	}
	t.Logf("%s: by priority 0 to 9 %d were offered, %d came", when, offered, got)
}
