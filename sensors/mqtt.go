package sensors

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// ErrNotConnected reports that there is no connection to the broker now.
var ErrNotConnected = errors.New("not connected to the broker")

// MQTT is the source of a broker's messages, and the way to publish to it. It
// keeps one persistent session, whose client id stays the same for ever.
type MQTT struct {
	opts    MQTTOptions
	source  string // URI of its events
	to      *endpoint
	log     *slog.Logger
	session *session
	changed chan struct{} // capacity 1: Follow gave other triggers
	hurry   chan struct{} // capacity 1: somebody does not want to wait for the next connection
	drops   drops
	silence silence
	sending sync.Mutex // held by Send: records leave in order

	mu     sync.Mutex
	wanted map[string]byte
	faults []string      // of the triggers
	refuse []string      // of the broker
	last   error         // why there is no connection; nil while there is one, or while a rival is the cause
	news   chan struct{} // closed, and made anew, whenever last is set
	retry  retry

	link atomic.Pointer[link] // the connection in use; nil while there is none
}

var _ agent.Source = (*MQTT)(nil)

// NewMQTT checks the options and reads the files they name; it connects to
// nobody.
func NewMQTT(opts MQTTOptions) (*MQTT, error) {
	if err := checkName(opts.Name); err != nil {
		return nil, err
	}
	opts.KeepAlive = cmp.Or(opts.KeepAlive, defaultKeepAlive)
	opts.MaxPacket = cmp.Or(opts.MaxPacket, defaultMaxPacket)
	opts.Inflight = cmp.Or(opts.Inflight, defaultInflight)
	opts.ClientID = cmp.Or(opts.ClientID, ClientID(opts.Device, opts.Name))
	if err := checkNumbers(&opts); err != nil {
		return nil, fmt.Errorf("broker %s: %w", opts.Name, err)
	}
	to, err := newEndpoint(&opts)
	if err != nil {
		return nil, err
	}
	log := cmp.Or(opts.Log, slog.Default()).With("source", opts.Name)
	return &MQTT{
		opts: opts, source: sourceURI(opts.Device, opts.Name), to: to, log: log,
		session: newSession(opts.Name, opts.ClientID, to.String(), opts.Notes, log),
		changed: make(chan struct{}, 1),
		hurry:   make(chan struct{}, 1),
		wanted:  map[string]byte{},
		last:    errors.New("not connected yet"),
		news:    make(chan struct{}),
		retry:   newRetry(),
	}, nil
}

func checkNumbers(o *MQTTOptions) error {
	switch {
	case o.KeepAlive < 2e9 || o.KeepAlive > 65535e9:
		return fmt.Errorf("keep-alive of %s: set it between 2s and 18h", o.KeepAlive)
	case o.MaxPacket < 128 || o.MaxPacket > 256<<20:
		return fmt.Errorf("largest packet of %d bytes: set it between 128 bytes and 256MiB", o.MaxPacket)
	case o.Inflight < 1 || o.Inflight > 65535:
		return fmt.Errorf("%d unacknowledged events: set it between 1 and 65535", o.Inflight)
	case len(o.ClientID) > 512:
		return errors.New("the client id has more than 512 bytes")
	case o.Will != nil && o.Will.QoS > 2:
		return fmt.Errorf("a will with QoS %d: set 0, 1 or 2", o.Will.QoS)
	case o.Will != nil:
		if err := agent.CheckTopic(o.Will.Topic); err != nil {
			return fmt.Errorf("will: %w", err)
		}
	}
	return nil
}

// Follow implements agent.Source: it takes the triggers whose Via is the name
// of this source, and returns at once.
func (m *MQTT) Follow(triggers []agent.Trigger) {
	wanted, faults := wantedFilters(m.opts.Name, triggers)
	m.mu.Lock()
	m.wanted, m.faults = wanted, faults
	m.mu.Unlock()
	signal(m.changed)
}

// Status tells how the source is.
func (m *MQTT) Status() agent.SourceStatus {
	st := agent.SourceStatus{Name: m.opts.Name, Kind: "mqtt", Filters: m.session.filters()}
	l := m.link.Load()
	if l != nil {
		st.Connected = true
		st.Inflight = l.ring.waiting()
	}
	quiet := ""
	if st.Connected {
		quiet = m.silence.note(time.Now())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	st.Note = joinNotes(m.last, slices.Concat([]string{m.rivalNote(l)}, m.refuse, m.faults, []string{m.drops.String(), quiet})...)
	return st
}

func (m *MQTT) want() map[string]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wanted // replaced by Follow, never changed
}

func (m *MQTT) setRefused(refused []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse = refused
}
