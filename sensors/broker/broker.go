package broker

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// spillAfter is how long a lasting session has to acknowledge a message before
// it goes to the disk; until then its publisher waits.
const spillAfter = 100 * time.Millisecond

// Broker is an MQTT broker. One lock guards all of its state: what is done
// under it is short, and waits for nobody.
type Broker struct {
	opts   Options
	limits Limits
	log    *slog.Logger
	gen    atomic.Uint64 // grows whenever cached answers about topics are void

	mu       sync.Mutex
	room     sync.Cond // held went down, or a connection ends
	sessions map[string]*session
	conns    map[*conn]struct{}
	topics   node
	filters  int // subscriptions there are
	retained map[string]*Message
	kept     int // bytes of retained
	queued   int // bytes that wait for sessions
	held     int // bytes that publishers wait for
	counter  uint64
	wills    map[string]lateWill // by client id
	young    []*delivery         // sent, and not yet on disk
	old      []*delivery         // young a spillAfter ago
	dirty    map[string]bool     // topics whose retained message the disk does not have
	lost     Lost
	warned   time.Time
	stopping bool
	round    uint64
	targets  []target // of the message that is being routed
	scratch  []byte

	disk  *journal // nil: nothing outlives the process
	serve sync.WaitGroup
}

// Lost counts what bounds and rights have refused.
type Lost struct {
	Full    int64 // for sessions with too much to wait for
	Slow    int64 // of QoS 0 for clients that read too slowly
	Kept    int64 // retained messages beyond the limit
	Refused int64 // publishes without the right to
}

// Stats are counts of what there is now.
type Stats struct {
	Clients, Sessions, Filters, Retained int
	Queued                               int // bytes that wait for sessions
	Lost                                 Lost
	Disk                                 error // why nothing can be kept now
	Damaged                              int64 // bytes that the last start could not read
}

// New opens the file of sessions and retained messages. It starts nothing.
func New(opts Options) (*Broker, error) {
	opts.Limits.fill()
	b := &Broker{
		opts: opts, limits: opts.Limits, log: cmp.Or(opts.Log, slog.Default()),
		sessions: map[string]*session{}, conns: map[*conn]struct{}{},
		retained: map[string]*Message{}, wills: map[string]lateWill{}, dirty: map[string]bool{},
	}
	b.room.L = &b.mu
	if opts.Path != "" {
		if err := openJournal(b, opts.Path); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Run serves the clients of listeners until ctx ends; it closes them.
func (b *Broker) Run(ctx context.Context, listeners ...net.Listener) error {
	stop := make(chan struct{})
	var helpers sync.WaitGroup
	if b.disk != nil {
		helpers.Go(func() { b.disk.run(stop) })
	}
	helpers.Go(func() { b.sweep(stop) })
	for _, l := range listeners {
		b.serve.Go(func() { b.accept(l) })
	}
	<-ctx.Done()
	for _, l := range listeners {
		l.Close()
	}
	b.mu.Lock()
	b.stopping = true
	for c := range b.conns {
		c.kick(refusedStopping)
	}
	b.mu.Unlock()
	b.serve.Wait()
	close(stop)
	helpers.Wait()
	if b.disk != nil {
		return b.disk.close()
	}
	return nil
}

func (b *Broker) accept(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return // it was closed
		}
		b.serve.Go(func() { b.Serve(nc) })
	}
}

// Stats tells what there is.
func (b *Broker) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := Stats{
		Clients: len(b.conns), Sessions: len(b.sessions), Filters: b.filters, Retained: len(b.retained),
		Queued: b.queued, Lost: b.lost,
	}
	if b.disk != nil {
		st.Disk, st.Damaged = b.disk.err, b.disk.damaged
	}
	return st
}

// Ready tells why messages cannot be kept for clients that are away, nil if
// they can.
func (b *Broker) Ready() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.disk == nil {
		return nil
	}
	return b.disk.err
}

// Refresh has to be called after the answers of Inlet.Wants have changed.
func (b *Broker) Refresh() { b.gen.Add(1) }

// changed voids what is cached about subscriptions.
func (b *Broker) changed() { b.gen.Add(1) }

// Publish hands m to the clients that want it. safe, if not nil, is called
// once every lasting session has it or has it on disk; it must not call back.
func (b *Broker) Publish(m *Message, safe func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := &debt{n: 1, paid: safe}
	b.retain(m, d)
	b.route(m, d)
	d.pay()
}

// warn logs at most one line a minute; the lock is held.
func (b *Broker) warn(text string, args ...any) {
	now := time.Now()
	if b.warned.IsZero() || now.Sub(b.warned) >= time.Minute {
		b.warned = now
		b.log.Warn(text, args...)
	}
}
