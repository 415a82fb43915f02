package uplink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// MQTTClient is a connection to a broker that one target has for itself.
type MQTTClient interface {
	// Run connects, again and again, until ctx ends.
	Run(ctx context.Context) error
	// Hurry has it connect at once, if it is not connected.
	Hurry()
	// Connected waits until there is a connection, and returns nil then; or until
	// ctx ends, or there will be none before somebody changes something. The
	// error says why, and means what it means for a Target.
	Connected(ctx context.Context) error
	// Send publishes to the topics that are the subjects, in order, and waits
	// until the broker has each. An error wraps io.EOF or a syscall.Errno where
	// the broker's end of the connection was closed.
	Send(ctx context.Context, recs []agent.Record) []error
}

// mqttKind is the row of the table.
var mqttKind = kind{
	"url client_id username password ca_file cert_file key_file keepalive topic retain payload max_payload timeout batch",
	newMQTT,
}

const (
	defaultBatch = 64       // publishes under way at once: AWS IoT takes in 100
	flushBytes   = 32 << 10 // of them, about, so that a slow link is in time with the answers
	// suspect is how large a payload must be, in bytes, to be taken for what the
	// broker ended the connection for. No broker is known that takes less.
	suspect = 64 << 10
	// maxEnded is how often the broker must do so, with nothing else under way.
	maxEnded = 5
)

// mqtt publishes events to a cloud's broker, in CloudEvents' structured mode.
type mqtt struct {
	MQTTClient
	topic   topic
	retain  bool
	payload payload
	batch   int
	follow  func(ev *agent.Event) string
	timeout time.Duration // of the connection, and of the broker's answers to flushBytes
	turn    chan struct{} // holds one: whoever took it sends

	up    atomic.Int64
	mu    sync.Mutex
	ended map[string]int // how often in a row the connection was, by the id of what was sent
}

// newMQTT makes a target that publishes with QoS 1: a record is DELIVERED when
// the broker has acknowledged it. A broker that a client has no right to
// publish to does so too: MQTT 3.1.1 has no word for that.
func newMQTT(c TargetConfig) (Target, error) {
	t := &mqtt{
		retain: c.Retain, batch: cmp.Or(c.Batch, defaultBatch),
		timeout: cmp.Or(c.Timeout, defaultTimeout), follow: c.follow(), turn: make(chan struct{}, 1), ended: map[string]int{},
	}
	var err error
	switch {
	case c.URL == "":
		return nil, mistake("url", "is missing; give one such as mqtts://broker.example")
	case c.Batch < 0 || c.Batch > 1024:
		return nil, mistake("batch", "is 1 to 1024")
	case c.Timeout < 0:
		return nil, mistake("timeout", "%s is negative; give a duration such as 30s", c.Timeout)
	}
	if t.topic, err = newTopic(&c); err != nil {
		return nil, err
	}
	if t.payload, err = newPayload(&c, 0); err != nil {
		return nil, err
	}
	if _, err = newSecret("password", c.Password, c.PasswordFile, nil); err != nil { // the client reads it
		return nil, err
	}
	if c.MQTT == nil {
		return nil, errors.New("kind mqtt needs a client of a broker, which nothing gives it here")
	}
	c.Dial = t.counted(c.Dial)
	t.MQTTClient, err = c.MQTT(c)
	return t, err
}

// counted counts what is written to the connections that link makes, below TLS.
func (t *mqtt) counted(link dialFunc) dialFunc {
	if link == nil {
		link = dialer.DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := link(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &countedConn{Conn: c, written: &t.up}, nil
	}
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// BytesUp is what was written to the wire: headers, bodies, TLS.
func (t *mqtt) BytesUp() int64 { return t.up.Load() }

// BatchSize is how many records go at once.
func (t *mqtt) BatchSize() int { return t.batch }

// Send implements Target.
func (t *mqtt) Send(ctx context.Context, rec agent.Record) error {
	return t.SendBatch(ctx, []agent.Record{rec})[0]
}

// SendBatch implements Batcher. What is large goes alone, so that it is known
// which record the broker would not have.
func (t *mqtt) SendBatch(ctx context.Context, recs []agent.Record) []error {
	b := mqttBatch{t: t, ctx: ctx, errs: make([]error, len(recs))}
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		b.lost = &Error{Class: Retry, Reason: ctx.Err().Error(), Err: ctx.Err(), Away: true}
	}
	for i := range recs {
		m, err := t.message(&recs[i])
		switch {
		case err != nil:
			b.errs[i] = err
		case len(m.Event.Data) > suspect:
			b.flush()
			b.add(i, m)
		default:
			b.add(i, m)
		}
	}
	b.flush()
	return b.errs
}

// message is rec as it is published.
func (t *mqtt) message(rec *agent.Record) (m agent.Record, err error) {
	ev, err := t.payload.of(rec)
	if err != nil {
		return m, err
	}
	if m.Event.Data, err = structured(ev, t.follow(&rec.Event)); err != nil {
		return m, err
	}
	if m.Event.Subject, err = t.topic.of(rec); err != nil {
		return m, err
	}
	m.Event.ID, m.Event.QoS, m.Retain = rec.Event.ID, 1, t.retain
	return m, nil
}

// mqttBatch is one SendBatch.
type mqttBatch struct {
	t      *mqtt
	ctx    context.Context
	errs   []error
	places []int // in errs, of those that wait
	recs   []agent.Record
	bytes  int   // of recs
	lost   error // why what is left is not sent
}

func (b *mqttBatch) add(i int, m agent.Record) {
	b.places, b.recs, b.bytes = append(b.places, i), append(b.recs, m), b.bytes+len(m.Event.Data)
	if b.bytes >= flushBytes {
		b.flush()
	}
}

// flush sends what waits. After a failure the rest is left for the next time:
// it would overtake what failed.
func (b *mqttBatch) flush() {
	defer func() { b.places, b.recs, b.bytes = nil, nil, 0 }()
	if len(b.recs) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, b.t.timeout)
	defer cancel()
	if b.lost == nil {
		b.lost = b.t.Connected(ctx)
	}
	if b.lost != nil {
		for _, place := range b.places {
			b.errs[place] = b.lost
		}
		return
	}
	for i, err := range b.t.MQTTClient.Send(ctx, b.recs) {
		err = b.t.verdict(&b.recs[i], len(b.recs) == 1, err)
		if ClassOf(err) == Retry {
			b.lost = err
		}
		b.errs[b.places[i]] = err
	}
}

// verdict makes what became of a publish an Error.
func (t *mqtt) verdict(m *agent.Record, alone bool, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := m.Event.ID
	closed := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	switch {
	case err == nil:
		delete(t.ended, id)
		return nil
	case !alone || !closed || len(m.Event.Data) <= suspect:
		return &Error{Class: Retry, Reason: err.Error(), Err: err, Away: !errors.Is(err, context.DeadlineExceeded)}
	}
	if len(t.ended) >= defaultBatch {
		clear(t.ended) // records that have expired or were dropped since
	}
	if t.ended[id]++; t.ended[id] < maxEnded {
		return &Error{Class: Retry, Reason: err.Error(), Err: err}
	}
	delete(t.ended, id)
	return &Error{Class: Permanent, Err: err, Reason: fmt.Sprintf(
		"the broker ended the connection %d times when this event of %d bytes, and nothing else, was sent: it is too large for it, or unwelcome at topic %s",
		maxEnded, len(m.Event.Data), m.Event.Subject)}
}
