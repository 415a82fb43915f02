package agent

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestGatherAgainstReference offers random streams, late, repeated and out of
// order, to an agent that gathers them, over a store that fails, through crashes
// and pauses in mid-window, and compares what its function got with what a naive
// reading of the rules says.
//
//	TEST_SEEDS=5000  how many seeds; 150 without it
//	TEST_SEED=17     that one alone
func TestGatherAgainstReference(t *testing.T) {
	first, count := uint64(1), 150
	if n, err := strconv.Atoi(os.Getenv("TEST_SEEDS")); err == nil {
		count = n
	}
	if n, err := strconv.ParseUint(os.Getenv("TEST_SEED"), 10, 64); err == nil {
		first, count = n, 1
	}
	total := map[string]int{}
	for i := range count {
		seed := first + uint64(i)
		synctest.Test(t, func(t *testing.T) {
			p := newGatherPlay(t, seed)
			p.play()
			for name, n := range p.counts {
				total[name] += n
			}
			if t.Failed() {
				t.Fatalf("replay it with: TEST_SEED=%d go test ./agent -run TestGatherAgainstReference", seed)
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d seeds: %v", count, total)
	for _, name := range []string{"events", "windows", "crashes", "failed", "late", "repeated", "lateruns", "unacked"} {
		if count >= 100 && total[name] == 0 {
			t.Errorf("no %s in all seeds: the test shows nothing", name)
		}
	}
}

// gatherPlay is a source that keeps what is not acknowledged, an agent and a disk.
type gatherPlay struct {
	t      *testing.T
	rng    *rand.Rand
	rule   Gather
	disk   *gatherDisk
	agent  *Agent
	clock  *Clock
	stop   func()
	began  time.Time     // of this run of the agent
	ran    time.Duration // of those before
	epoch  time.Time
	order  int
	counts map[string]int

	crashed atomic.Bool
	booting atomic.Bool
	dice    *rand.Rand   // of the disk; these are guarded by its mu
	events  []*playEvent // appended to under it
	calm    bool
	failed  int

	mu   sync.Mutex
	luck *rand.Rand        // of the function
	over bool              // it fails no more
	runs map[string]string // data by event id
	fail int               // percent of runs that do
}

// playEvent is an event of the stream.
type playEvent struct {
	n     int
	key   string
	t     int64 // its own time, ns
	data  string
	order int         // of the offer that counted
	at    int64       // when that was, by the clock of the rule
	kept  atomic.Bool // it is on disk
	acked atomic.Bool
}

func newGatherPlay(t *testing.T, seed uint64) *gatherPlay {
	rng := rand.New(rand.NewPCG(seed, 0))
	p := &gatherPlay{t: t, rng: rng, rule: randomGather(rng), counts: map[string]int{}, runs: map[string]string{}, fail: rng.IntN(30), epoch: time.Now()}
	p.dice, p.luck = rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
	p.disk = &gatherDisk{modelDisk: newModelDisk(rng)}
	p.disk.before, p.disk.after = p.beforeCommit, p.afterCommit
	p.boot()
	return p
}

func randomGather(rng *rand.Rand) Gather {
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(rng.Int64N(int64((most-least)/time.Millisecond)))*time.Millisecond
	}
	g := Gather{Kind: GatherKind(1 + rng.IntN(5)), Size: between(time.Second, 10*time.Second)}
	switch g.Kind {
	case GatherBatch:
		g.Count, g.Bytes = rng.IntN(6), int64(rng.IntN(3)*100)
	case GatherSliding:
		g.Every = between(g.Size/7, g.Size)
	case GatherSession, GatherDebounce:
		if rng.IntN(2) == 0 {
			g.Most = between(g.Size, 4*g.Size)
		}
	}
	if g.Kind != GatherBatch && g.Kind != GatherDebounce && rng.IntN(3) > 0 {
		g.Time, g.LateRuns = "t", rng.IntN(2) == 0
		g.Lateness = time.Duration(rng.IntN(3)) * between(time.Second, 5*time.Second)
	}
	return g
}

// boot starts an agent on what is on disk.
func (p *gatherPlay) boot() {
	p.crashed.Store(false)
	p.booting.Store(true)
	defer p.booting.Store(false)
	p.clock = NewClock(func() (time.Time, bool) { return time.Now().Add(30 * 365 * 24 * time.Hour), true })
	p.began = time.Now()
	p.agent = New(p.disk, p, nil, Options{
		Device: "gw7", Clock: p.clock, Language: dataTime{}, SpillAfter: 1000 * time.Hour, BreakAfter: 1 << 30, Grace: time.Millisecond,
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.agent.Run(ctx) }()
	p.stop = func() {
		cancel()
		if err := <-ended; err != nil && !p.crashed.Load() {
			p.t.Errorf("Run: %v", err)
		}
	}
	synctest.Wait()
	d := Deployment{
		Functions: []Function{{Name: "app/f", Digest: "sha256:1", Limits: DefaultLimits}},
		Triggers: []Trigger{{
			Name: "app/on", Function: "app/f", Via: "plant", Filter: "#", QoS: 1, Gather: p.rule,
			Retry: Retry{MaxAttempts: 1 << 20, Backoff: 10 * time.Millisecond},
		}},
	}
	d.Functions[0].Limits.Concurrency = 2
	if err := p.agent.Apply(context.Background(), d); err != nil {
		p.t.Fatal(err)
	}
}

// down stops the agent, and starts another one after a while. The clock goes on
// where it was.
func (p *gatherPlay) down() {
	p.stop()
	if err := p.clock.keep(context.Background(), p.disk.modelDisk, true); err != nil {
		p.t.Fatal(err)
	}
	p.ran += time.Since(p.began)
	p.wait(time.Duration(p.rng.IntN(3)*p.rng.IntN(10_000)) * time.Millisecond)
	p.boot()
	for _, e := range p.events {
		if !e.acked.Load() {
			p.counts["unacked"]++
			p.offer(e)
		}
	}
}

func (p *gatherPlay) wait(d time.Duration) { <-time.After(d) }

func (p *gatherPlay) beforeCommit(f *Frame) error {
	switch {
	case p.crashed.Load():
		return errBroken
	case p.calm || f.Lazy || p.booting.Load():
		return nil
	case p.chance(2):
		p.crashed.Store(true)
		return errBroken
	case p.chance(5):
		p.failed++
		return errBroken
	}
	return nil
}

// afterCommit notes what is on disk now.
func (p *gatherPlay) afterCommit(f *Frame) error {
	kept := func(data []byte) {
		if n, ok := numberIn(data); ok {
			p.events[n].kept.Store(true)
		}
	}
	for _, w := range f.Writes {
		if strings.HasPrefix(w.Scope, asideIndex+"/") {
			kept(w.Value)
		}
	}
	for _, r := range f.Add {
		if bytes.Contains(r.Event.Data, []byte(`"late":true`)) {
			kept(r.Event.Data)
		}
	}
	if !p.calm && !f.Lazy && !p.booting.Load() && p.chance(2) {
		p.crashed.Store(true)
		return errBroken
	}
	return nil
}

func (p *gatherPlay) chance(percent int) bool { return p.dice.IntN(100) < percent }

// numberIn finds the number of an event in its data.
func numberIn(data []byte) (int, bool) {
	_, rest, ok := bytes.Cut(data, []byte(`"n":`))
	text, _, ok2 := bytes.Cut(rest, []byte(","))
	n, err := strconv.Atoi(string(text))
	return n, ok && ok2 && err == nil
}

func (p *gatherPlay) Load(context.Context, Function) (Module, error) { return p, nil }
func (p *gatherPlay) Close(context.Context) error                    { return nil }

func (p *gatherPlay) Invoke(_ context.Context, inv *Invocation) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over && p.luck.IntN(100) < p.fail {
		return errBroken
	}
	data := string(inv.Event.Data)
	if before, ok := p.runs[inv.Event.ID]; ok && before != data {
		p.t.Errorf("%s ran with %s and with %s", inv.Event.ID, before, data)
	}
	p.runs[inv.Event.ID] = data
	return nil
}

// now is the time by the clock of the rule.
func (p *gatherPlay) now() int64 {
	if p.rule.Time != "" {
		return int64(p.ran + time.Since(p.began))
	}
	return time.Now().Add(30 * 365 * 24 * time.Hour).UnixNano()
}

// offer has the agent take an event, or take it again.
func (p *gatherPlay) offer(e *playEvent) {
	again := e.order > 0
	if !e.kept.Load() && !e.acked.Load() {
		p.order++
		e.order, e.at = p.order, p.now()
	}
	ev := &Event{
		Via: "plant", Subject: e.key, Data: []byte(e.data), QoS: 1, Time: time.Now(),
		Origin: Origin{Slot: "plant/" + strconv.Itoa(e.n), Hash: uint64(e.n), Redelivered: again},
	}
	p.agent.Offer(ev, func(err error) {
		if err == nil {
			e.acked.Store(true)
		}
	})
}

func (p *gatherPlay) play() {
	for range 60 {
		p.step()
		if p.crashed.Load() {
			p.counts["crashes"]++
			p.down()
		}
	}
	p.disk.mu.Lock()
	p.calm = true
	p.disk.mu.Unlock()
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.down()
	p.wait(10 * time.Minute)
	synctest.Wait()
	p.stop()
	p.counts["failed"] += p.failed
	p.weigh()
}

// step offers something, or lets time pass, or both.
func (p *gatherPlay) step() {
	switch n := p.rng.IntN(20); {
	case n == 0 && len(p.events) > 0:
		// What was dropped as late leaves no mark: it is judged anew.
		if e := p.events[p.rng.IntN(len(p.events))]; e.acked.Load() && e.kept.Load() {
			p.counts["repeated"]++
			p.offer(e)
		}
	case n == 1:
		p.down()
	case n < 5:
		p.wait(time.Duration(p.rng.IntN(15_000)) * time.Millisecond)
	default:
		p.wait(time.Duration(p.rng.IntN(3)*p.rng.IntN(2000)) * time.Millisecond)
		for range 1 + p.rng.IntN(3) {
			p.offerNew()
		}
	}
	if p.rng.IntN(3) > 0 {
		synctest.Wait()
	}
}

func (p *gatherPlay) offerNew() {
	e := &playEvent{n: len(p.events), key: []string{"a", "b"}[p.rng.IntN(2)]}
	at := time.Unix(1_700_000_000, 0).Add(time.Since(p.epoch) + time.Duration(p.rng.IntN(6000)-3000)*time.Millisecond).UTC()
	e.t = at.UnixNano()
	e.data = fmt.Sprintf(`{"n":%d,"t":%q}`, e.n, at.Format(time.RFC3339Nano))
	p.disk.mu.Lock()
	p.events = append(p.events, e)
	p.disk.mu.Unlock()
	p.counts["events"]++
	p.offer(e)
}
