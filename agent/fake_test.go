package agent_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// memory is a Store in memory. fail, if set, decides about each frame, and
// unreadable about each value, and each list of keys ("").
type memory struct {
	mu      sync.Mutex
	state   map[[2]string]agent.Write
	records []agent.Record
	last    uint64
	frames  []agent.Frame
	fail    func(f *agent.Frame) error

	unreadable func(scope, key string) error
}

func newMemory() *memory { return &memory{state: map[[2]string]agent.Write{}} }

// fillable is a store that has no room for records while full is set.
func fillable() (store *memory, full *atomic.Bool) {
	store, full = newMemory(), &atomic.Bool{}
	store.fail = func(f *agent.Frame) error {
		if full.Load() && len(f.Add) > 0 {
			return agent.ErrFull
		}
		return nil
	}
	return store, full
}

func (m *memory) Commit(_ context.Context, f *agent.Frame) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		if err := m.fail(f); err != nil {
			return err
		}
	}
	for _, w := range f.Writes {
		if w.Value == nil {
			delete(m.state, [2]string{w.Scope, w.Key})
			continue
		}
		m.state[[2]string{w.Scope, w.Key}] = w
	}
	for i := range f.Add {
		m.last++
		f.Add[i].Seq = m.last
		m.records = append(m.records, f.Add[i])
	}
	for _, seq := range f.Done {
		m.records = slices.DeleteFunc(m.records, func(r agent.Record) bool { return r.Seq == seq })
	}
	for _, t := range f.Touch {
		for i := range m.records {
			if m.records[i].Seq == t.Seq {
				m.records[i].Attempts, m.records[i].NotBefore = t.Attempts, t.NotBefore
			}
		}
	}
	kept := *f // whose parts are the committer's again
	kept.Add, kept.Writes, kept.Done, kept.Touch = slices.Clone(f.Add), slices.Clone(f.Writes), slices.Clone(f.Done), slices.Clone(f.Touch)
	m.frames = append(m.frames, kept)
	return nil
}

// failing sets fail while an agent runs.
func (m *memory) failing(fail func(*agent.Frame) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = fail
}

// written lists the frames that were committed.
func (m *memory) written() []agent.Frame {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.frames)
}

// newest is the frame that was committed last.
func newest(m *memory) agent.Frame {
	frames := m.written()
	return frames[len(frames)-1]
}

func (m *memory) Get(scope, key string) ([]byte, error) {
	if err := m.reads(scope, key); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state[[2]string{scope, key}].Value, nil
}

func (m *memory) Read(scope, key string) (agent.Write, error) {
	if err := m.reads(scope, key); err != nil {
		return agent.Write{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state[[2]string{scope, key}], nil
}

func (m *memory) reads(scope, key string) error {
	m.mu.Lock()
	unreadable := m.unreadable
	m.mu.Unlock()
	if unreadable == nil {
		return nil
	}
	return unreadable(scope, key)
}

func (m *memory) Keys(scope, prefix string, limit int) ([]string, error) {
	if err := m.reads(scope, ""); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for k := range m.state {
		if k[0] == scope && strings.HasPrefix(k[1], prefix) {
			keys = append(keys, k[1])
		}
	}
	sort.Strings(keys)
	return keys[:min(limit, len(keys))], nil
}

func (m *memory) Pending(queue string) []agent.Stub {
	var stubs []agent.Stub
	for _, r := range m.queue(queue) {
		stubs = append(stubs, agent.Stub{Seq: r.Seq, Size: 100, Attempts: r.Attempts, NotBefore: r.NotBefore})
	}
	return stubs
}

func (m *memory) Queues() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for _, r := range m.records {
		if !slices.Contains(names, r.Queue) {
			names = append(names, r.Queue)
		}
	}
	return names
}

func (m *memory) Has(seq uint64) bool {
	_, err := m.Record(seq)
	return err == nil
}

func (m *memory) Record(seq uint64) (agent.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.records {
		if r.Seq == seq {
			return r, nil
		}
	}
	return agent.Record{}, agent.ErrNotFound
}

func (m *memory) queue(name string) []agent.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []agent.Record
	for _, r := range m.records {
		if r.Queue == name {
			found = append(found, r)
		}
	}
	return found
}

// guests are functions written in Go, by name.
type guests map[string]func(context.Context, *agent.Invocation) error

func (g guests) Load(_ context.Context, fn agent.Function) (agent.Module, error) {
	run := g[fn.Name]
	if run == nil {
		return nil, errors.New("no such module")
	}
	return guest{run}, nil
}

type guest struct {
	run func(context.Context, *agent.Invocation) error
}

func (g guest) Invoke(ctx context.Context, inv *agent.Invocation) error { return g.run(ctx, inv) }
func (g guest) Close(context.Context) error                             { return nil }

// bench is an agent under test.
type bench struct {
	*agent.Agent
	t     *testing.T
	store *memory
	stop  func()
}

// start runs an agent over store until the test ends or stop is called. Events
// that do not fail spill only if opts says when: a busy machine shall not decide.
func start(t *testing.T, store *memory, g guests, opts agent.Options) *bench {
	t.Helper()
	b := startOn(t, store, g, opts)
	b.store = store
	return b
}

// startOn is start over any store.
func startOn(t *testing.T, store agent.Store, g guests, opts agent.Options) *bench {
	t.Helper()
	opts.Device, opts.SpillAfter = "gw7", cmp.Or(opts.SpillAfter, time.Hour)
	if opts.DefaultBroker == "" {
		opts.DefaultBroker = "plant"
	}
	a := agent.New(store, g, nil, opts)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return &bench{Agent: a, t: t, stop: stop}
}

func (b *bench) apply(functions []agent.Function, triggers ...agent.Trigger) {
	b.t.Helper()
	for i := range functions {
		if functions[i].Limits == (agent.Limits{}) {
			functions[i].Limits = agent.DefaultLimits
		}
	}
	if err := b.Apply(context.Background(), agent.Deployment{Generation: 1, Functions: functions, Triggers: triggers}); err != nil {
		b.t.Fatalf("Apply: %v", err)
	}
}

// offer gives the agent a QoS 1 message and returns what tells when it is acknowledged.
func (b *bench) offer(topic, data string, origin agent.Origin) <-chan error {
	acked := make(chan error, 1)
	b.Offer(&agent.Event{Via: "plant", Subject: topic, Data: []byte(data), QoS: 1, Origin: origin, Time: time.Now()},
		func(err error) { acked <- err })
	return acked
}

func (b *bench) wait(acked <-chan error) {
	b.t.Helper()
	select {
	case err := <-acked:
		if err != nil {
			b.t.Fatalf("event refused: %v", err)
		}
	case <-time.After(10 * time.Second):
		b.t.Fatal("event not acknowledged within 10 s")
	}
}

// offerAll offers n messages at once, numbered from 0, and waits until all are
// acknowledged.
func (b *bench) offerAll(topic string, n int) {
	b.t.Helper()
	var acks []<-chan error
	for i := range n {
		acks = append(acks, b.offer(topic, strconv.Itoa(i), agent.Origin{}))
	}
	for _, acked := range acks {
		b.wait(acked)
	}
}

func (b *bench) status() agent.Status {
	var s agent.Status
	b.Status(&s)
	return s
}

func (b *bench) eventually(what string, check func() error) {
	b.t.Helper()
	testbed.Eventually(b.t, 10*time.Second, what, check)
}

func fn(name string) agent.Function {
	return agent.Function{
		Name: name, Digest: "sha256:7ae36a7a6bb1b35d",
		Permissions: agent.Permissions{
			Publish: []string{"#"}, Invoke: []string{"central/faas", "local/other", "local/loop"},
		},
	}
}

func on(function, filter string) agent.Trigger {
	return agent.Trigger{Name: function + "-on-" + filter, Function: function, Via: "plant", Filter: filter, QoS: 1}
}
