package sensors

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors/broker"
)

// User may connect to the embedded broker. Publish and Subscribe are topic
// filters, in which "%u" is the user's name and "%c" the client id; a nil list
// allows everything.
type User struct {
	Name         string
	Password     string
	PasswordFile string // read at each connect, in place of Password
	Publish      []string
	Subscribe    []string
}

// BrokerOptions say who may connect to the embedded broker, and where. Name
// and Device are needed, and Users or Anonymous.
type BrokerOptions struct {
	Name   string // the source's name: triggers name it in Via
	Device string
	Listen string // host:port or URLs, comma separated; "" means 127.0.0.1:1883, port 0 a free one

	CertFile, KeyFile string // PEM: the broker's certificate; read anew when they change
	Users             []User
	Anonymous         bool // anybody may connect

	Traced bool                         // events have the trace context of what clients publish
	Follow func(ev *agent.Event) string // the traceparent of a publish of the agent that comes back as an event; nil: none has one

	Path   string // file of sessions and retained messages; "" keeps them in memory only
	Limits broker.Limits
	Log    *slog.Logger // nil: slog.Default()
}

// Broker is an MQTT broker inside the agent, for gateways without one. Sensors
// publish to it; it is also the source of their messages, with no network in
// between.
type Broker struct {
	opts      BrokerOptions
	source    string // URI of its events
	log       *slog.Logger
	endpoints []broker.Endpoint
	tls       *tls.Config // nil for no encryption
	users     map[string]account
	within    string // password of the agent itself, see Within

	inflight atomic.Int64
	mu       sync.Mutex
	filters  []string
	faults   []string
	run      *brokerRun // nil while the broker does not run
	last     error
}

// brokerRun is what exists between start and stop.
type brokerRun struct {
	core   *broker.Broker
	offer  agent.Offer
	addrs  []string
	within *pipes
	stop   chan struct{} // closed when the broker stops: nobody waits any longer
}

var _ agent.Source = (*Broker)(nil)

var errNotRunning = errors.New("the embedded broker does not run")

// NewBroker checks the options and reads the files they name; it listens to
// nobody yet.
func NewBroker(opts BrokerOptions) (*Broker, error) {
	if err := checkName(opts.Name); err != nil {
		return nil, err
	}
	opts.Listen = cmp.Or(opts.Listen, "127.0.0.1:1883")
	b := &Broker{opts: opts, source: sourceURI(opts.Device, opts.Name), last: errNotRunning, within: rand.Text(), log: cmp.Or(opts.Log, slog.Default()).With("source", opts.Name)}
	if err := b.configure(); err != nil {
		return nil, fmt.Errorf("broker %s: %w", opts.Name, err)
	}
	return b, nil
}

func (b *Broker) configure() (err error) {
	secure := b.opts.CertFile+b.opts.KeyFile != ""
	for text := range strings.SplitSeq(b.opts.Listen, ",") {
		e, err := broker.ParseEndpoint(strings.TrimSpace(text), secure)
		if err != nil {
			return err
		}
		b.endpoints = append(b.endpoints, e)
	}
	if len(b.opts.Users) == 0 && !b.opts.Anonymous {
		return errors.New("nobody may connect: set users, or allow anonymous clients")
	}
	if b.users, err = newAccounts(b.opts.Users); err != nil {
		return err
	}
	if secure {
		b.tls, err = ServerTLS(b.opts.CertFile, b.opts.KeyFile)
	}
	return err
}

// Run implements agent.Source: it listens until ctx ends. It returns an error
// when it cannot listen.
func (b *Broker) Run(ctx context.Context, offer agent.Offer) error {
	b.warnOpen()
	run := &brokerRun{offer: offer, within: newPipes(), stop: make(chan struct{})}
	err := b.serve(ctx, run)
	if err != nil {
		err = fmt.Errorf("broker %s: %w", b.opts.Name, err)
	}
	b.setRun(nil, cmp.Or(err, errNotRunning))
	return err
}

func (b *Broker) serve(ctx context.Context, run *brokerRun) (err error) {
	listeners, err := b.listen()
	if err != nil {
		return err
	}
	run.core, err = broker.New(broker.Options{
		Inlet: inlet{b, run}, Login: b.login, Path: b.opts.Path, Limits: b.opts.Limits, Log: b.log,
	})
	if err != nil {
		closeAll(listeners)
		return err
	}
	for _, l := range listeners {
		run.addrs = append(run.addrs, l.Addr().String())
	}
	b.setRun(run, nil)
	b.log.Info("broker listens", "address", strings.Join(run.addrs, ", "))
	context.AfterFunc(ctx, func() { close(run.stop) })
	return run.core.Run(ctx, append(listeners, run.within)...)
}

func (b *Broker) listen() (listeners []net.Listener, err error) {
	for _, e := range b.endpoints {
		l, err := e.Listen(b.tls, !b.opts.Anonymous)
		if err != nil {
			closeAll(listeners)
			return nil, fmt.Errorf("listen on %s: %w", e.Address, err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
}

func (b *Broker) warnOpen() {
	for _, e := range b.endpoints {
		switch {
		case e.Private():
		case b.opts.Anonymous:
			b.log.Warn("anybody on the network may publish to this broker", "listen", e.Address)
		case !e.TLS:
			b.log.Warn("passwords go over the network unencrypted; give the broker a certificate", "listen", e.Address)
		}
	}
}

// Follow implements agent.Source. The broker offers messages that match a
// filter of these triggers and no others.
func (b *Broker) Follow(triggers []agent.Trigger) {
	single := make([]agent.Trigger, 0, len(triggers))
	for _, t := range triggers {
		t.Share = "" // there is one subscriber: this gateway
		single = append(single, t)
	}
	wanted, faults := wantedFilters(b.opts.Name, single)
	b.mu.Lock()
	b.filters, b.faults = sortedKeys(wanted), faults
	run := b.run
	b.mu.Unlock()
	if run != nil {
		run.core.Refresh()
	}
}

// Addr is the first address the broker listens on, "" while it does not run.
func (b *Broker) Addr() string {
	if run := b.running(); run != nil {
		return run.addrs[0]
	}
	return ""
}

// Status tells how the broker is.
func (b *Broker) Status() agent.SourceStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := agent.SourceStatus{
		Name: b.opts.Name, Kind: "broker", Connected: b.run != nil,
		Filters: b.filters, Inflight: int(b.inflight.Load()),
	}
	notes := b.faults
	if b.run != nil {
		notes = append(coreNotes(b.run.core.Stats()), notes...)
	}
	st.Note = joinNotes(b.last, notes...)
	return st
}

// coreNotes are what a person should know of the broker.
func coreNotes(st broker.Stats) (notes []string) {
	add := func(n int64, text string) {
		if n > 0 {
			notes = append(notes, fmt.Sprintf(text, n))
		}
	}
	if st.Disk != nil {
		notes = append(notes, fmt.Sprintf("sessions cannot be kept, their publishers wait: %v", st.Disk))
	}
	add(st.Damaged, "%d bytes of sessions and retained messages were damaged; the rest is used")
	add(st.Lost.Full, "%d messages dropped for clients with too many to wait for")
	add(st.Lost.Slow, "%d messages of QoS 0 dropped for clients that are too slow")
	add(st.Lost.Kept, "%d retained messages not kept: there are too many")
	add(st.Lost.Refused, "%d messages refused: their clients may not publish to the topic")
	return notes
}

func (b *Broker) setRun(run *brokerRun, last error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.run, b.last = run, last
}

func (b *Broker) running() *brokerRun {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.run
}

// wants tells whether a trigger may want messages of topic.
func (b *Broker) wants(topic string) bool {
	b.mu.Lock()
	filters := b.filters // replaced by Follow, never changed
	b.mu.Unlock()
	for _, f := range filters {
		if agent.MatchTopic(f, topic) {
			return true
		}
	}
	return false
}

func (b *Broker) event(m *message) *agent.Event {
	return m.event(b.source, b.opts.Name, time.Now())
}

// traceOf is the trace context with which a client published m.
func (b *Broker) traceOf(m *broker.Message) string {
	if !b.opts.Traced {
		return ""
	}
	if s := validTrace(m.UserProperty(traceParent)); s != "" {
		return s
	}
	return payloadTrace(m.Data)
}
