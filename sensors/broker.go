package sensors

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"

	"github.com/skerry-edge/skerry/agent"
)

// User may connect to the embedded broker.
type User struct{ Name, Password string }

// BrokerOptions say who may connect to the embedded broker, and where. Name
// and Device are needed, and Users or Anonymous.
type BrokerOptions struct {
	Name   string // the source's name: triggers name it in Via
	Device string
	Listen string // host:port; "" means 127.0.0.1:1883, port 0 a free one

	CertFile, KeyFile string // PEM: the broker's certificate; "" for no encryption
	Users             []User
	Anonymous         bool // anybody may connect

	MaxClients int64        // 0 means 1000
	MaxPacket  int64        // bytes; 0 means 256 KiB
	Log        *slog.Logger // nil: slog.Default()
}

// Broker is an MQTT broker inside the agent, for gateways without one. Sensors
// publish to it; it is also the source of their messages, with no network in
// between. It keeps sessions and retained messages in memory only.
type Broker struct {
	opts  BrokerOptions
	log   *slog.Logger
	tls   *tls.Config // nil for no encryption
	users map[string][32]byte

	inflight atomic.Int64
	mu       sync.Mutex
	filters  []string
	faults   []string
	run      *brokerRun // nil while the broker does not run
	last     error
}

// brokerRun is what exists between start and stop.
type brokerRun struct {
	server *mochi.Server
	offer  agent.Offer
	addr   string
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
	opts.MaxClients = cmp.Or(opts.MaxClients, 1000)
	opts.MaxPacket = cmp.Or(opts.MaxPacket, defaultMaxPacket)
	b := &Broker{opts: opts, last: errNotRunning, log: cmp.Or(opts.Log, slog.Default()).With("source", opts.Name)}
	if _, _, err := net.SplitHostPort(opts.Listen); err != nil {
		return nil, fmt.Errorf("broker %s: listen address %q must be host:port, as in 127.0.0.1:1883", opts.Name, opts.Listen)
	}
	if len(opts.Users) == 0 && !opts.Anonymous {
		return nil, fmt.Errorf("broker %s: nobody may connect: set users, or allow anonymous clients", opts.Name)
	}
	var err error
	if b.users, err = hashUsers(opts.Users); err != nil {
		return nil, fmt.Errorf("broker %s: %w", opts.Name, err)
	}
	if opts.CertFile+opts.KeyFile != "" {
		cert, err := loadKeyPair(opts.CertFile, opts.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("broker %s: %w", opts.Name, err)
		}
		b.tls = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	return b, nil
}

// Run implements agent.Source: it listens until ctx ends. It returns an error
// when it cannot listen.
func (b *Broker) Run(ctx context.Context, offer agent.Offer) error {
	b.warnOpen()
	run := &brokerRun{server: b.newServer(), offer: offer, stop: make(chan struct{})}
	if err := run.server.AddHook(&brokerHook{b: b, run: run}, nil); err != nil {
		return fmt.Errorf("broker %s: %w", b.opts.Name, err)
	}
	tcp := listeners.NewTCP(listeners.Config{ID: b.opts.Name, Address: b.opts.Listen, TLSConfig: b.tls})
	if err := run.server.AddListener(tcp); err != nil {
		err = fmt.Errorf("broker %s: listen on %s: %w", b.opts.Name, b.opts.Listen, err)
		b.setRun(nil, err)
		return err
	}
	run.addr = tcp.Address()
	b.setRun(run, nil)
	defer b.setRun(nil, errNotRunning)
	if err := run.server.Serve(); err != nil {
		tcp.Close(func(string) {})
		return fmt.Errorf("broker %s: %w", b.opts.Name, err)
	}
	b.log.Info("broker listens", "address", run.addr)
	<-ctx.Done()
	close(run.stop)
	return run.server.Close()
}

func (b *Broker) newServer() *mochi.Server {
	caps := mochi.NewDefaultServerCapabilities()
	caps.MaximumClients = b.opts.MaxClients
	caps.MaximumPacketSize = uint32(min(b.opts.MaxPacket, 256<<20))
	return mochi.New(&mochi.Options{
		Capabilities: caps,
		InlineClient: true,
		Logger:       slog.New(errorsOnly{b.log.Handler()}),
	})
}

func (b *Broker) warnOpen() {
	host, _, _ := net.SplitHostPort(b.opts.Listen) // checked by NewBroker
	switch {
	case isLoopback(host):
	case b.opts.Anonymous:
		b.log.Warn("anybody on the network may publish to this broker", "listen", b.opts.Listen)
	case b.tls == nil:
		b.log.Warn("passwords go over the network unencrypted; give the broker a certificate", "listen", b.opts.Listen)
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
	defer b.mu.Unlock()
	b.filters, b.faults = sortedKeys(wanted), faults
}

// Addr is the address the broker listens on, "" while it does not run.
func (b *Broker) Addr() string {
	if run := b.running(); run != nil {
		return run.addr
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
	st.Note = joinNotes(b.last, b.faults...)
	return st
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

// errorsOnly passes on what mochi logs as an error: it tells of every client
// that goes away, with the payload of the packet it could not process.
type errorsOnly struct{ slog.Handler }

func (errorsOnly) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (h errorsOnly) WithAttrs(a []slog.Attr) slog.Handler       { return errorsOnly{h.Handler.WithAttrs(a)} }

func (h errorsOnly) WithGroup(name string) slog.Handler { return errorsOnly{h.Handler.WithGroup(name)} }
