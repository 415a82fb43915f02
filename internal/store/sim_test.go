package store_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

// sim runs a store on a faulty disk, one step after the other, beside a model
// of what must be there. One seed decides all that happens.
type sim struct {
	t     testing.TB
	r     *rand.Rand
	disk  *faultyDisk
	db    *badger.DB
	s     *store.Store
	base  *model           // what is on disk for certain
	seen  *model           // what readers see: base and the Lazy frames behind it
	tail  []*agent.Frame   // Lazy frames that may not be on disk
	tried [][]*agent.Frame // groups that failed: a crash may bring back a beginning of one
	done  uint64           // frames on disk
	steps []string
}

func (m *sim) options() store.Options {
	o := store.Options{SegmentSize: 64 << 10, Quota: 512 << 10, Overlay: 64 << 10, Log: slog.New(slog.NewTextHandler(m, nil))}
	return store.WithDisk(o, m.disk, m.db)
}

// Write takes what the store logs.
func (m *sim) Write(line []byte) (int, error) {
	_, text, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
	m.note("%s", text)
	return len(line), nil
}

func (m *sim) note(format string, args ...any) {
	m.steps = append(m.steps, fmt.Sprintf(format, args...))
}

func (m *sim) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("%s\nafter %s", fmt.Sprintf(format, args...), strings.Join(m.steps, "\n      "))
}

// open starts the store, with faults now and then first.
func (m *sim) open() {
	for {
		s, err := store.Open("/sim", m.options())
		if err == nil {
			m.s, m.disk.fails = s, 0
			m.done = s.Durable()
			return
		}
		if m.disk.fails == 0 {
			m.fail("open: %v", err)
		}
		m.note("open failed: %v", err)
		m.disk.fails = 0
		if m.r.IntN(2) == 0 {
			m.disk.crash()
		}
	}
}

// group commits some frames at once.
func (m *sim) group() {
	frames, next := []*agent.Frame{}, m.seen.clone()
	for range 1 + m.r.IntN(5) {
		f, _ := next.frame(m.r)
		if m.r.IntN(8) == 0 && len(f.Add) > 0 {
			f.Add[0].Event.Data = make([]byte, m.r.IntN(20<<10))
		}
		for i := range f.Add {
			f.Add[i].Attempts = m.r.IntN(2)
		}
		if !f.Empty() {
			frames = append(frames, &f)
		}
		for _, seq := range f.Done { // a record has one owner: what one frame names, the next does not
			delete(next.records, seq)
		}
		for _, touch := range f.Touch {
			delete(next.records, touch.Seq)
		}
	}
	errs := m.s.CommitGroup(frames)
	var order []*agent.Frame
	for i, f := range frames {
		if !errors.Is(errs[i], agent.ErrLimit) && (errs[i] == nil || !refused(errs[i])) {
			order = append(order, f)
		}
	}
	m.settle(frames, errs, order)
}

// refused tells that a frame never came near the disk.
func refused(err error) bool { return err != nil && strings.Contains(err.Error(), "quota") }

// settle takes in what a group of commits did.
func (m *sim) settle(frames []*agent.Frame, errs []error, order []*agent.Frame) {
	all := append(m.tail, order...)
	n := int(m.s.Durable() - m.done)
	m.note("%d frames %v, %d of %d on disk", len(frames), errs, n, len(all))
	if n > len(all) && len(frames) > 0 {
		m.fail("%d frames became durable, there were %d", n, len(all))
	}
	n = min(n, len(all)) // more of them moved records, which changes nothing
	if n > 0 {
		m.tried = nil
	}
	m.done = m.s.Durable()
	for _, f := range all[:n] {
		m.base.apply(f)
	}
	rest := all[n:]
	failed := map[*agent.Frame]bool{}
	for i, f := range frames {
		failed[f] = errs[i] != nil
		if errs[i] == nil && !f.Lazy && len(rest) > 0 && contains(rest, f) {
			m.fail("a frame was acknowledged and is not on disk")
		}
	}
	m.tail = nil
	m.seen = m.base.clone()
	for _, f := range rest {
		if !failed[f] {
			m.tail = append(m.tail, f)
			m.seen.apply(f)
		}
	}
	if len(m.tail) < len(rest) {
		m.tried = append(m.tried, rest)
	}
}

func contains(list []*agent.Frame, f *agent.Frame) bool {
	for _, g := range list {
		if f == g {
			return true
		}
	}
	return false
}

// read gives what the store holds.
func (m *sim) read() *model {
	got := newModel()
	for _, q := range m.s.Queues() {
		var last uint64
		for _, stub := range m.s.Pending(q) {
			rec, err := m.s.Record(stub.Seq)
			if err != nil || stub.Seq <= last || rec.Attempts != stub.Attempts {
				m.fail("record %d after %d of %s: %v", stub.Seq, last, q, err)
			}
			last = stub.Seq
			got.records[stub.Seq] = q + " " + string(rec.Event.Data)
			if rec.Attempts > 0 {
				got.tries[stub.Seq] = rec.Attempts
			}
		}
		if m.s.Queue(q).Bytes() <= 0 {
			m.fail("queue %s has %d bytes", q, m.s.Queue(q).Bytes())
		}
		if n := m.s.Queue(q).Len(); n != len(m.s.Pending(q)) {
			m.fail("queue %s has %d records and lists %d", q, n, len(m.s.Pending(q)))
		}
	}
	for i := range 3 {
		if q := m.s.Queue(fmt.Sprint("q", i)); q.Len() == 0 && q.Bytes() != 0 {
			m.fail("an empty queue has %d bytes", q.Bytes())
		}
	}
	for i := range 30 {
		key := fmt.Sprint("k", i)
		v, err := m.s.Get("state/a/f", key)
		if err != nil {
			m.fail("read %s: %v", key, err)
		}
		if v != nil {
			got.state[key] = string(v)
		}
	}
	return got
}

// check compares the store with what readers should see.
func (m *sim) check() {
	if got := m.read(); !got.equal(m.seen) {
		m.fail("the store holds other things than it should: %s", m.seen.diff(got))
	}
	if st := m.s.Status(); st.Gaps != 0 || st.Records+st.Dead != len(m.seen.records) {
		m.fail("%d gaps, %d records and %d dead letters of %d", st.Gaps, st.Records, st.Dead, len(m.seen.records))
	}
}

// crash stops the machine and starts it again: all that was acknowledged is
// there, and of what was not, a beginning at most.
func (m *sim) crash() {
	m.s.Abandon()
	m.disk.fails = 0
	m.disk.crash()
	if m.r.IntN(3) == 0 {
		m.disk.fails, m.disk.err = 1+m.r.IntN(20), diskErrors[m.r.IntN(len(diskErrors))]
	}
	m.note("crash, %d lazy, %d failed groups", len(m.tail), len(m.tried))
	m.open()
	got := m.read()
	for _, tail := range append([][]*agent.Frame{m.tail}, m.tried...) {
		state := m.base.clone()
		for i := 0; ; i++ {
			if got.equal(state) {
				m.base, m.seen, m.tail, m.tried = state, state.clone(), nil, nil
				m.check()
				return
			}
			if i == len(tail) {
				break
			}
			state.apply(tail[i])
		}
	}
	m.fail("after a crash the store holds other things than were on disk for certain: %s", m.base.diff(got))
}

// step does one thing.
func (m *sim) step() {
	switch n := m.r.IntN(100); {
	case n < 4:
		m.crash()
	case n < 9:
		m.disk.fails, m.disk.err = 1+m.r.IntN(40), diskErrors[m.r.IntN(len(diskErrors))]
		m.note("%d %% of all operations fail: %v", m.disk.fails, m.disk.err)
	case n < 16:
		m.disk.fails = 0
	case n < 24:
		err := m.s.Checkpoint()
		m.note("checkpoint: %v", err)
		if err != nil && m.disk.fails == 0 && !errors.Is(err, agent.ErrFull) {
			m.fail("checkpoint: %v", err)
		}
		m.settle(nil, nil, nil)
	case n < 27:
		m.note("flush: %v", m.s.Flush())
		m.settle(nil, nil, nil)
	case n < 30:
		m.check()
	case n < 31 && m.disk.fails == 0:
		m.note("close")
		if err := m.s.Close(); err != nil {
			m.fail("close: %v", err)
		}
		m.settle(nil, nil, nil)
		m.disk.crash()
		m.open()
		m.check()
	default:
		m.group()
	}
}

func simulate(t testing.TB, seed uint64, db *badger.DB) {
	r := rand.New(rand.NewPCG(seed, 7))
	m := &sim{t: t, r: r, disk: newFaultyDisk(r), db: db, base: newModel(), seen: newModel()}
	m.open()
	for range 60 + r.IntN(120) {
		m.step()
	}
	m.crash()
}

// TestSimulation runs many seeds: TEST_SEEDS of them, or the one TEST_SEED.
func TestSimulation(t *testing.T) {
	from, n := uint64(0), uint64(200)
	if v := os.Getenv("TEST_SEEDS"); v != "" {
		n, _ = strconv.ParseUint(v, 10, 64)
	}
	if v := os.Getenv("TEST_SEED"); v != "" {
		from, _ = strconv.ParseUint(v, 10, 64)
		n = 1
	}
	for seed := from; seed < from+n; seed++ {
		db, err := badger.Open(badger.DefaultOptions("").WithInMemory(true).WithMemTableSize(1 << 20).WithValueThreshold(100_000).WithLoggingLevel(badger.ERROR).WithMetricsEnabled(false))
		if err != nil {
			t.Fatal(err)
		}
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) { simulate(t, seed, db) })
		if err := db.Close(); err != nil || !ok {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
