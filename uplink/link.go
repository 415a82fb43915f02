package uplink

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// LinkOptions of a Meter; the zero value counts and bounds nothing.
type LinkOptions struct {
	Name    string // for people, and what its totals are kept under
	Day     int64  // bytes a day, both ways; 0: no bound, here and below
	Month   int64
	Rate    int64    // bytes a second, both ways
	Reserve int64    // of Day and of Month, only for priority 8 and 9
	Metered []string // windows, "CRON FOR DURATION", in which Day, Month and Limit count; none: always

	// Limit is what a function may use a day on this link, 0: as much as the
	// link may; nil: no function has a limit.
	Limit func(function string) int64
	Now   func() time.Time // the time, never going back if possible; nil: time.Now
	Sure  func() bool      // tells whether Now is known to be right; nil: it always is
	Zone  *time.Location   // of days, months and Metered; nil: time.Local
	Log   *slog.Logger     // nil: slog.Default
}

// MeterStore is where a Meter keeps its totals.
type MeterStore interface {
	Get(scope, key string) ([]byte, error)
	Committer
}

// Meter is a link: a way to the network on which bytes are counted as they go
// over the wire, both ways, and bounded. What is admitted counts against the
// budget at once with what it will take by experience, and then with what went
// over the wire, whoever caused that. It implements Link.
type Meter struct {
	opts    LinkOptions
	store   MeterStore
	log     *slog.Logger
	windows []hours
	unsaved chan struct{} // there is much that is not in the store

	mu        sync.Mutex
	totals    totals
	since     int64 // bytes counted that are not in the store
	conns     map[*linkConn]struct{}
	lingering int       // of conns: closed, but not yet at their end on the wire
	looked    time.Time // when all of conns were last looked at
	turned    int64     // second for which turn was last called; with sure
	sure      bool      //
	metered   bool      // Day, Month and Limit count now
	from, to  time.Time // metered holds between these, by opts.Now
	bucket    bucket
	guess     guess
	flying    flight // admitted and not spent
	flyingBy  map[string]flight
	line      line // for the budget
	next      line // for the rate
}

// flight is a number of requests and the bytes for which they were admitted.
type flight struct {
	requests int
	bytes    int64
}

// NewMeter returns the meter of a link, which goes on from the totals in
// store. The error is one sentence for who configures it.
func NewMeter(opts LinkOptions, store MeterStore) (*Meter, error) {
	if opts.Day < 0 || opts.Month < 0 || opts.Rate < 0 || opts.Reserve < 0 {
		return nil, fmt.Errorf("link %q: day, month, rate and reserve are bytes; they cannot be negative", opts.Name)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Sure == nil {
		opts.Sure = func() bool { return true }
	}
	if opts.Limit == nil {
		opts.Limit = func(string) int64 { return 0 }
	}
	opts.Zone = cmp.Or(opts.Zone, time.Local)
	m := &Meter{
		opts: opts, store: store, log: cmp.Or(opts.Log, slog.Default()).With("link", opts.Name),
		unsaved: make(chan struct{}, 1),
		conns:   map[*linkConn]struct{}{}, flyingBy: map[string]flight{},
		bucket: newBucket(opts.Rate), guess: newGuess(),
	}
	for _, text := range opts.Metered {
		w, err := parseHours(text)
		if err != nil {
			return nil, fmt.Errorf("link %q: %w", opts.Name, err)
		}
		m.windows = append(m.windows, w)
	}
	if err := m.load(); err != nil {
		return nil, err
	}
	return m, nil
}

// linkDialer sends no keep-alives: every 30 s they would be 300 kB a day, and a
// connection that died is found by the deadline of the next request.
var linkDialer = net.Dialer{Timeout: 15 * time.Second, KeepAlive: -1}

// DialContext connects over the link. What asking name servers takes is counted
// too, except of one on this device, which asks the others on its own account.
func (m *Meter) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return m.dial(ctx, linkDialer, network, addr)
}

func (m *Meter) dial(ctx context.Context, d net.Dialer, network, addr string) (net.Conn, error) {
	if d.Resolver == nil {
		d.Resolver = m.resolver()
	}
	began := time.Now()
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		m.count(failedDial(err, time.Since(began)))
		return nil, err
	}
	return m.attend(c), nil
}

// count adds bytes that went over the wire; a correction may be negative.
func (m *Meter) count(up, down int64) {
	if up == 0 && down == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(up, down)
}

func (m *Meter) add(up, down int64) {
	n := up + down
	m.turn()
	m.totals.add(up, down, m.metered)
	m.bucket.take(n)
	if m.flying.requests > 0 { // or nobody knows what it was for
		m.guess.lately.wire += float64(n)
	}
	if m.since += n; m.since >= saveBytes {
		select {
		case m.unsaved <- struct{}{}:
		default: // it knows
		}
	}
}

// lookEvery is the shortest time between two looks at all connections.
const lookEvery = 20 * time.Millisecond

// look counts what went over connections of which nobody has read or written
// since: acknowledgements, and what was sent again.
func (m *Meter) look(always bool) {
	m.mu.Lock()
	now := time.Now()
	if !always && now.Sub(m.looked) < lookEvery {
		m.mu.Unlock()
		return
	}
	m.looked = now
	conns := make([]*linkConn, 0, len(m.conns))
	for c := range m.conns {
		conns = append(conns, c)
	}
	m.mu.Unlock()
	for _, c := range conns {
		c.sample()
	}
}

// turn brings what depends on the time up to date, to a second.
func (m *Meter) turn() {
	now, sure := m.opts.Now(), m.opts.Sure()
	if now.Unix() == m.turned && sure == m.sure {
		return
	}
	m.turned, m.sure = now.Unix(), sure
	if m.totals.turn(now.In(m.opts.Zone), sure) {
		m.line = line{}
	}
	if len(m.windows) == 0 || !sure { // nobody knows that it is not metered
		m.metered, m.from, m.to = true, time.Time{}, time.Time{}
	} else if now.Before(m.from) || !now.Before(m.to) {
		m.from = now
		m.metered, m.to = inWindows(m.windows, now.In(m.opts.Zone))
	}
}
