package broker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors/broker"
)

const patience = 20 * time.Second

// inlet stands for the agent. It wants the topics of one filter, and keeps
// what comes until it is told to let go, or at once.
type inlet struct {
	filter string // "" wants nothing
	hold   bool

	mu   sync.Mutex
	got  []string
	kept []func()
}

func (in *inlet) Wants(topic string) bool {
	return in.filter != "" && agent.MatchTopic(in.filter, topic)
}

func (in *inlet) Offer(m *broker.Message) { in.note(m, nil) }

func (in *inlet) Open(string, uint16, func(error)) broker.Gate { return in }

func (in *inlet) Keep(m *broker.Message, _ uint16, _ bool, kept func()) { in.note(m, kept) }

func (in *inlet) Close() {}

func (in *inlet) note(m *broker.Message, kept func()) {
	in.mu.Lock()
	in.got = append(in.got, fmt.Sprintf("%s %s %d", m.Topic, m.Data, m.QoS))
	if kept != nil && in.hold {
		in.kept = append(in.kept, kept)
		kept = nil
	}
	in.mu.Unlock()
	if kept != nil {
		kept()
	}
}

// letGo has everything kept that came so far.
func (in *inlet) letGo() {
	in.mu.Lock()
	kept := in.kept
	in.kept = nil
	in.mu.Unlock()
	for _, k := range kept {
		k()
	}
}

func (in *inlet) events() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.got)
}

// rig is a broker that runs.
type rig struct {
	*broker.Broker
	t    *testing.T
	opts broker.Options
	addr string
	stop func()
	over chan struct{} // closed when it has stopped
}

func start(t *testing.T, more ...func(*broker.Options)) *rig {
	t.Helper()
	opts := broker.Options{
		Inlet: &inlet{},
		Login: func(broker.Login) (broker.Rights, bool) { return broker.Rights{}, true },
		Log:   slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, m := range more {
		m(&opts)
	}
	r := &rig{t: t, opts: opts, addr: "127.0.0.1:0"}
	r.begin()
	t.Cleanup(func() { r.stop() })
	return r
}

// begin starts the broker, again on the same address.
func (r *rig) begin() {
	r.t.Helper()
	var err error
	if r.Broker, err = broker.New(r.opts); err != nil {
		r.t.Fatal(err)
	}
	var l net.Listener
	testbed.Eventually(r.t, patience, "the same port again", func() error {
		l, err = net.Listen("tcp", r.addr) // somebody may have dialled from it
		return err
	})
	r.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended, over := make(chan error, 1), make(chan struct{})
	go func() { ended <- r.Run(ctx, l) }()
	r.over = over
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("Run: %v", err)
		}
		close(over)
	})
}

// crash starts a broker on the files as they are now, as after a power cut.
func (r *rig) crash() {
	r.t.Helper()
	now, err := os.ReadFile(r.opts.Path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.stop()
	if err := os.WriteFile(r.opts.Path, now, 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.begin()
}

func stored(t *testing.T) func(*broker.Options) {
	path := t.TempDir() + "/sessions"
	return func(o *broker.Options) { o.Path = path }
}

// peer is a client that speaks MQTT 3.1.1 packet by packet, with a codec that
// is not the broker's.
type peer struct {
	t *testing.T
	net.Conn
}

// dial connects without a CONNECT.
func (r *rig) dial() *peer {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &peer{r.t, c}
}

// connect is dial and a CONNECT that succeeds.
func (r *rig) connect(id string, clean bool, more ...func(*packets.ConnectPacket)) (p *peer, present bool) {
	r.t.Helper()
	p = r.dial()
	ack := p.hello(id, clean, more...)
	if ack.ReturnCode != 0 {
		r.t.Fatalf("%s: refused with %d", id, ack.ReturnCode)
	}
	return p, ack.SessionPresent
}

// lasting connects with a session that is kept.
func (r *rig) lasting(id string) *peer {
	r.t.Helper()
	p, _ := r.connect(id, false)
	return p
}

func (p *peer) hello(id string, clean bool, more ...func(*packets.ConnectPacket)) *packets.ConnackPacket {
	p.t.Helper()
	c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	c.ProtocolName, c.ProtocolVersion = "MQTT", 4
	c.ClientIdentifier, c.CleanSession, c.Keepalive = id, clean, 60
	for _, m := range more {
		m(c)
	}
	p.send(c)
	return expect[*packets.ConnackPacket](p)
}

func (p *peer) send(pk packets.ControlPacket) {
	p.t.Helper()
	if err := pk.Write(p); err != nil {
		p.t.Fatal(err)
	}
}

// read is the next packet.
func (p *peer) read() packets.ControlPacket {
	p.t.Helper()
	pk, err := packets.ReadPacket(p)
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	return pk
}

func expect[T packets.ControlPacket](p *peer) T {
	p.t.Helper()
	pk := p.read()
	want, ok := pk.(T)
	if !ok {
		p.t.Fatalf("got %v, want a %T", pk, want)
	}
	return want
}

// closed waits for the end of the connection.
func (p *peer) closed(why string) {
	p.t.Helper()
	if pk, err := packets.ReadPacket(p); err == nil {
		p.t.Errorf("%s: got %v, want the end of the connection", why, pk)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Errorf("%s: the connection lives", why)
	}
}

// silent checks that nothing more comes: a ping is answered first.
func (p *peer) silent(why string) {
	p.t.Helper()
	p.send(packets.NewControlPacket(packets.Pingreq))
	if pk, ok := p.read().(*packets.PingrespPacket); !ok {
		p.t.Errorf("%s: got %v", why, pk)
	}
}

func (p *peer) subscribe(id uint16, qos byte, filters ...string) []byte {
	p.t.Helper()
	s := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	s.MessageID = id
	for _, f := range filters {
		s.Topics, s.Qoss = append(s.Topics, f), append(s.Qoss, qos)
	}
	p.send(s)
	ack := expect[*packets.SubackPacket](p)
	if ack.MessageID != id {
		p.t.Errorf("SUBACK for %d, want %d", ack.MessageID, id)
	}
	return ack.ReturnCodes
}

// publish sends a message, and does the handshake of its QoS.
func (p *peer) publish(topic, text string, qos byte, more ...func(*packets.PublishPacket)) {
	p.t.Helper()
	p.post(7, topic, text, qos, more...)
	switch qos {
	case 1:
		expect[*packets.PubackPacket](p)
	case 2:
		expect[*packets.PubrecPacket](p)
		p.release(7)
	}
}

// post sends a PUBLISH and waits for nothing.
func (p *peer) post(id uint16, topic, text string, qos byte, more ...func(*packets.PublishPacket)) {
	p.t.Helper()
	m := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	m.TopicName, m.Payload, m.Qos, m.MessageID = topic, []byte(text), qos, id
	for _, f := range more {
		f(m)
	}
	p.send(m)
}

func retained(m *packets.PublishPacket) { m.Retain = true }
func again(m *packets.PublishPacket)    { m.Dup = true }

func (p *peer) release(id uint16) {
	p.t.Helper()
	rel := packets.NewControlPacket(packets.Pubrel).(*packets.PubrelPacket)
	rel.MessageID = id
	p.send(rel)
	expect[*packets.PubcompPacket](p)
}

// receive takes n messages in and acknowledges them; each is "topic text qos",
// with " retained" and " again" as it is marked.
func (p *peer) receive(n int) (got []string) {
	p.t.Helper()
	for open := 0; len(got) < n || open > 0; {
		switch m := p.read().(type) {
		case *packets.PublishPacket:
			got = append(got, told(m))
			p.acknowledge(m)
			if m.Qos == 2 {
				open++
			}
		case *packets.PubrelPacket:
			p.complete(m.MessageID)
			open--
		default:
			p.t.Fatalf("got %v, want a message", m)
		}
	}
	return got
}

func told(m *packets.PublishPacket) string {
	text := fmt.Sprintf("%s %s %d", m.TopicName, m.Payload, m.Qos)
	if m.Retain {
		text += " retained"
	}
	if m.Dup {
		text += " again"
	}
	return text
}

// acknowledge answers a message; that of a PUBREC is still to come.
func (p *peer) acknowledge(m *packets.PublishPacket) {
	p.t.Helper()
	switch m.Qos {
	case 1:
		ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		ack.MessageID = m.MessageID
		p.send(ack)
	case 2:
		rec := packets.NewControlPacket(packets.Pubrec).(*packets.PubrecPacket)
		rec.MessageID = m.MessageID
		p.send(rec)
	}
}

func (p *peer) complete(id uint16) {
	p.t.Helper()
	comp := packets.NewControlPacket(packets.Pubcomp).(*packets.PubcompPacket)
	comp.MessageID = id
	p.send(comp)
}

// bye says goodbye and waits until the broker has noticed.
func (p *peer) bye() {
	p.t.Helper()
	p.send(packets.NewControlPacket(packets.Disconnect))
	p.closed("after a DISCONNECT")
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func (r *rig) clients(n int) {
	r.t.Helper()
	testbed.Eventually(r.t, patience, fmt.Sprintf("%d clients", n), func() error {
		if st := r.Stats(); st.Clients != n {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
}
