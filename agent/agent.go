package agent

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Publisher sends a message to a broker at once and waits for nobody: the way
// out for effects that need not survive a crash.
type Publisher interface {
	Publish(topic string, data []byte, qos uint8, retain bool) error
}

// Options of an Agent; the zero value of each has a meaning.
type Options struct {
	Device        string
	DefaultBroker string                                    // for publishes of events that came through no broker
	Publishers    map[string]Publisher                      // by broker name
	Language      Language                                  // of conditions and templates; nil refuses triggers that have any
	Secrets       func(name string) (value string, ok bool) // nil: none
	Fetch         Fetcher                                   // for outbound requests of functions; nil: none
	SpillAfter    time.Duration                             // an event unacknowledged for so long goes to the inbox; 0 means 100 ms
	Grace         time.Duration                             // to finish what is queued when stopping; 0 means 3 s
	OrphanAfter   time.Duration                             // events of a removed function are dead-lettered after it, and its state deleted; 0 means a day
	Settled       func() bool                               // the deployment is all that belongs here: state of what it lacks may go; nil: it always is
	Linger        time.Duration                             // a group waits so long for company; 0 commits at once
	Group         int                                       // outcomes that share a sync, at most; 0 means 64
	Room          func() int64                              // bytes that the disk has left for the copy of a state; nil: enough
	Clock         *Clock                                    // by which the store lets state expire; nil: the wall clock, on both sides
	BreakAfter    int                                       // a function that failed so often in a row is stopped for a while; 0 means 8
	BreakPause    time.Duration                             // for so long at first, doubled up to 5 min; 0 means 5 s
	Underway      []byte                                    // memory that outlives the process, not the machine: what the agent died of is known then; nil: it is not
	Watch         Watcher                                   // is told what functions do; nil: nobody
	Log           *slog.Logger
}

// Agent runs functions on events. See the package comment for its promises.
type Agent struct {
	store     Store
	loader    Loader
	sources   []Source
	opts      Options
	committer *committer
	replacer  *replacer
	ledger    *ledger
	kept      keptBack
	ids       *ids // set by Run before the first offer
	counts    counters
	order     atomic.Int64
	gates     gates
	remains   remains
	deaths    deaths
	underway  *underway
	asides    *asides
	turns     *turns
	taps      listeners[func(*Event)]    // who looks at events
	watchers  listeners[Watcher]         // who is told what functions do
	start     chan func(context.Context) // to Run: functions that begin or end
	spillNow  chan struct{}              // to spill: an event came that has to wait

	hash func(scope, key string) uint64

	copying  chan struct{} // taken by the function that copies state, one at a time
	boxing   sync.Mutex    // the dead-letter box: letters that leave it
	spacesMu sync.Mutex
	spaces   map[string]*space // by scope; of every function that was ever applied

	applying sync.Mutex
	removed  map[string]removal // by function; guarded by applying
	applied  chan struct{}      // closed by the first Apply
	begun    chan struct{}      // closed when functions can be started
	ended    chan struct{}      // and when they cannot any more
	once     sync.Once
	current  atomic.Pointer[deployed]
}

// New wires an agent; Run starts it.
func New(store Store, loader Loader, sources []Source, opts Options) *Agent {
	opts.SpillAfter = cmp.Or(opts.SpillAfter, 100*time.Millisecond)
	opts.Group = cmp.Or(opts.Group, maxGroup)
	opts.Grace = cmp.Or(opts.Grace, 3*time.Second)
	opts.OrphanAfter = cmp.Or(opts.OrphanAfter, 24*time.Hour)
	opts.BreakAfter = cmp.Or(opts.BreakAfter, 8)
	opts.BreakPause = cmp.Or(opts.BreakPause, 5*time.Second)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	a := &Agent{store: store, loader: loader, sources: sources, opts: opts, start: make(chan func(context.Context))}
	a.hash = hashKey
	a.applied, a.removed = make(chan struct{}), map[string]removal{}
	a.begun, a.ended = make(chan struct{}), make(chan struct{})
	a.spillNow, a.spaces = make(chan struct{}, 1), map[string]*space{}
	a.copying = make(chan struct{}, 1)
	a.ledger = newLedger()
	a.gates.gone, a.turns = map[string]time.Time{}, newTurns(runtime.GOMAXPROCS(0))
	a.remains.done = map[string]deleted{}
	a.asides, a.underway = newAsides(a), newUnderway(opts.Underway)
	a.current.Store(a.deployment(Deployment{}))
	if opts.Watch != nil {
		a.watchers.add(opts.Watch)
	}
	a.committer, a.replacer = newCommitter(a), newReplacer(store, opts.Log)
	return a
}

// Run offers events to functions until ctx ends. The sources start with the
// first Apply, be it of an empty Deployment. In the end the sources stop, what
// is queued is finished within Options.Grace, and Run returns nil.
//
// An event that was not finished was not acknowledged; it comes again.
func (a *Agent) Run(ctx context.Context) error {
	var err error
	if a.ids, err = newIDs(ctx, a.store, a.opts.Device); err != nil {
		return err
	}
	if clock := a.opts.Clock; clock != nil {
		if clock.moved != nil {
			a.ids = &ids{prefix: a.opts.Device + "/played/"} // the same each time
		}
		if err := clock.resume(a.store); err != nil {
			return err
		}
	}
	if err := errors.Join(a.deaths.load(ctx, a), a.asides.load(a.store)); err != nil {
		return err
	}
	commits, stopCommits := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCommits()
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()

	var committing sync.WaitGroup
	committing.Go(func() { a.committer.run(commits) })

	workers, work := errgroup.WithContext(work)
	workers.Go(func() error { return a.spill(work) })
	workers.Go(func() error { return a.tidy(work) })
	workers.Go(func() error { return a.asides.run(work) })
	workers.Go(func() error { return a.runFunctions(work) })

	err = a.runSources(ctx)
	a.drain()
	stopWork()
	err = errors.Join(err, workers.Wait())
	stopCommits()
	committing.Wait()
	a.closeModules(context.WithoutCancel(ctx))
	return err
}

// runSources waits for the first deployment: without one every event would be
// a miss, and be acknowledged.
func (a *Agent) runSources(ctx context.Context) error {
	select {
	case <-a.applied:
	case <-ctx.Done():
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { // even with no sources, Run lasts as long as ctx
		<-ctx.Done()
		return nil
	})
	for _, s := range a.sources {
		g.Go(func() error { return s.Run(ctx, a.Offer) })
	}
	return g.Wait()
}

// runFunctions runs each function that Apply starts, until ctx ends.
func (a *Agent) runFunctions(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	defer close(a.ended)
	close(a.begun)
	for {
		select {
		case run := <-a.start:
			running.Go(func() { run(ctx) })
		case <-ctx.Done():
			return nil
		}
	}
}

// drain waits until no function has work in memory, but no longer than Grace.
func (a *Agent) drain() {
	deadline := time.Now().Add(a.opts.Grace)
	for time.Now().Before(deadline) && a.busy() {
		time.Sleep(2 * time.Millisecond)
	}
}

func (a *Agent) busy() bool {
	for _, fn := range a.current.Load().functions {
		for _, w := range fn.workers {
			if w.busy() {
				return true
			}
		}
	}
	return a.committer.busy()
}

func (a *Agent) closeModules(ctx context.Context) {
	for _, fn := range a.current.Load().functions {
		fn.close(ctx)
	}
}
