package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/skerry-edge/skerry/sensors/gather"
)

// farEnd is a scripted broker.
type farEnd struct {
	t testing.TB
	net.Conn
}

// pair connects a Conn with a scripted broker that has accepted it.
func pair(t testing.TB, opts Options) (*Conn, *farEnd) {
	t.Helper()
	near, far := connection(t)
	opts.ClientID, opts.KeepAlive, opts.MaxPacket = "gw", max(opts.KeepAlive, 2*time.Second), max(opts.MaxPacket, 1000)
	if opts.Receive == nil {
		opts.Receive = func(*Message) {}
	}
	b := &farEnd{t, far}
	greeted := make(chan packets.ControlPacket, 1)
	go func() {
		p, _ := packets.ReadPacket(far)
		io.WriteString(far, "\x20\x02\x01\x00")
		greeted <- p
	}()
	c, present, err := Open(t.Context(), near, opts)
	if err != nil || !present {
		t.Fatalf("session present %v, %v", present, err)
	}
	if p, ok := (<-greeted).(*packets.ConnectPacket); !ok || p.ClientIdentifier != "gw" || p.Keepalive != uint16(opts.KeepAlive/time.Second) || p.CleanSession {
		t.Fatalf("greeting: %v", p)
	}
	return c, b
}

// connection is a TCP connection to ourselves, its near end as sensors uses it.
func connection(t testing.TB) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	plain, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	if near, err = Blocking(plain.(*net.TCPConn)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// run runs c; the channel gives what ended it.
func run(c *Conn) <-chan error {
	over := make(chan error, 1)
	go func() { over <- c.Run() }()
	return over
}

func (b *farEnd) send(p packets.ControlPacket) {
	b.t.Helper()
	if err := p.Write(b); err != nil {
		b.t.Error(err)
	}
}

func (b *farEnd) expect(want string) {
	b.t.Helper()
	p, err := packets.ReadPacket(b)
	if err != nil {
		b.t.Fatalf("want %s: %v", want, err)
	}
	if got := p.String(); !strings.Contains(got, want) {
		b.t.Errorf("the broker got %q, want %q", got, want)
	}
}

func short(kind byte, id uint16) packets.ControlPacket {
	p := packets.NewControlPacket(kind)
	switch p := p.(type) {
	case *packets.PubackPacket:
		p.MessageID = id
	case *packets.PubrecPacket:
		p.MessageID = id
	case *packets.PubrelPacket:
		p.MessageID = id
	case *packets.PubcompPacket:
		p.MessageID = id
	case *packets.UnsubackPacket:
		p.MessageID = id
	}
	return p
}

func TestReceiveAndAcknowledge(t *testing.T) {
	got := make(chan Message, 10)
	c, b := pair(t, Options{Receive: func(m *Message) { got <- *m }})
	run(c)
	b.send(publishPacket("a/b", "one", 1, 7))
	b.send(publishPacket("a/b", strings.Repeat("x", 2000), 1, 8))
	b.send(publishPacket("c", "exactly", 2, 9))
	b.send(publishPacket("a/b", "any", 0, 0))
	var all []string
	for range 4 {
		m := <-got
		all = append(all, fmt.Sprintf("%s %.7s %d q%d #%d", m.Topic, m.Payload, m.TooLarge, m.QoS, m.ID))
	}
	if want := []string{"a/b one 0 q1 #7", "a/b  2007 q1 #8", "c exactly 0 q2 #9", "a/b any 0 q0 #0"}; !slices.Equal(all, want) {
		t.Errorf("received %q, want %q", all, want)
	}
	c.Ack(1, 8)
	b.expect("PUBACK: dup: false qos: 0 retain: false rLength: 2 MessageID: 8")
	c.Ack(2, 9)
	b.expect("PUBREC: dup: false qos: 0 retain: false rLength: 2 MessageID: 9")
	b.send(short(packets.Pubrel, 9))
	b.expect("PUBCOMP: dup: false qos: 0 retain: false rLength: 2 MessageID: 9")
}

func TestPublish(t *testing.T) {
	c, b := pair(t, Options{})
	over := run(c)
	done := make(chan string, 10)
	tell := func(what string) func(error) { return func(err error) { done <- fmt.Sprint(what, " ", err) } }
	for qos := range uint8(3) {
		if err := c.Publish("out", []byte{'0' + qos}, qos, qos == 1, tell(fmt.Sprint("QoS ", qos))); err != nil {
			t.Fatal(err)
		}
	}
	b.expect("qos: 0 retain: false rLength: 6 topicName: out MessageID: 0 payload: 0")
	b.expect("qos: 1 retain: true rLength: 8 topicName: out MessageID: 1 payload: 1")
	b.expect("qos: 2 retain: false rLength: 8 topicName: out MessageID: 2 payload: 2")
	b.send(short(packets.Puback, 2)) // the wrong answer for QoS 2
	b.send(short(packets.Puback, 1))
	b.send(short(packets.Puback, 1)) // a second one says nothing
	b.send(short(packets.Pubrec, 2))
	b.expect("PUBREL: dup: false qos: 1 retain: false rLength: 2 MessageID: 2")
	b.send(short(packets.Pubcomp, 2))
	for _, want := range []string{"QoS 1 <nil>", "QoS 2 <nil>"} {
		if got := <-done; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if err := c.Publish("out", nil, 1, false, tell("late")); err != nil {
		t.Fatal(err)
	}
	b.Close()
	err := <-over
	if got, want := <-done, fmt.Sprint("late ", err); err == nil || got != want {
		t.Errorf("the connection ended with %v, the publish with %q", err, got)
	}
	if again := c.Publish("out", nil, 1, false, tell("never")); !errors.Is(again, err) {
		t.Errorf("a publish after the end: %v, want %v", again, err)
	}
}

func TestSubscribe(t *testing.T) {
	c, b := pair(t, Options{})
	run(c)
	answers := make(chan string, 3)
	for _, filter := range []string{"a/#", "secret/#"} {
		err := c.Subscribe(filter, 1, func(code byte, err error) { answers <- fmt.Sprint(filter, code, err) })
		if err != nil {
			t.Fatal(err)
		}
	}
	b.expect("SUBSCRIBE: dup: false qos: 1 retain: false rLength: 8 MessageID: 1 topics: [a/#]")
	b.expect("MessageID: 2 topics: [secret/#]")
	io.WriteString(b, "\x90\x03\x00\x02\x80\x90\x03\x00\x01\x01")
	if err := c.Unsubscribe("a/#", func(err error) { answers <- fmt.Sprint("gone ", err) }); err != nil {
		t.Fatal(err)
	}
	b.expect("UNSUBSCRIBE: dup: false qos: 1 retain: false rLength: 7 MessageID: 3")
	b.send(short(packets.Unsuback, 3))
	for _, want := range []string{"secret/#128 <nil>", "a/#1 <nil>", "gone <nil>"} {
		if got := <-answers; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestRefusedGreetings(t *testing.T) {
	for answer, want := range map[string]error{
		"\x20\x02\x00\x05":     RefusedAccess,
		"\x20\x02\x00\x02":     RefusedID,
		"\x20\x03\x00\x00\x00": ErrMalformed,
		"\xd0\x00":             ErrMalformed,
		"":                     io.EOF,
		"\x20":                 io.ErrUnexpectedEOF,
	} {
		near, far := connection(t)
		go func() {
			packets.ReadPacket(far)
			io.WriteString(far, answer)
			far.Close()
		}()
		_, _, err := Open(t.Context(), near, Options{ClientID: "gw", KeepAlive: time.Minute, MaxPacket: 100})
		if !errors.Is(err, want) {
			t.Errorf("answer %q: %v, want %v", answer, err, want)
		}
	}
	near, _ := connection(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := Open(ctx, near, Options{ClientID: "gw", KeepAlive: time.Minute, MaxPacket: 100}); err == nil {
		t.Error("a broker that says nothing was taken for one")
	}
}

func TestWillAndCredentials(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	go Open(t.Context(), near, Options{
		ClientID: "gw", KeepAlive: time.Minute, MaxPacket: 100, Username: "u", Password: "p", CleanSession: true,
		Will: &Will{Topic: "gone", Payload: []byte("gw"), QoS: 1, Retain: true},
	})
	p, err := packets.ReadPacket(far)
	if err != nil {
		t.Fatal(err)
	}
	got := p.(*packets.ConnectPacket)
	if !got.CleanSession || got.Username != "u" || string(got.Password) != "p" || got.WillTopic != "gone" ||
		string(got.WillMessage) != "gw" || got.WillQos != 1 || !got.WillRetain {
		t.Errorf("greeting %v", got)
	}
}

// A broker that answers pings keeps its connection, one that does not loses it.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		go func() {
			packets.ReadPacket(far)
			io.WriteString(far, "\x20\x02\x00\x00")
		}()
		c, _, err := Open(t.Context(), near, Options{ClientID: "gw", KeepAlive: 40 * time.Second, MaxPacket: 100, Receive: func(*Message) {}})
		if err != nil {
			t.Fatal(err)
		}
		over := run(c)
		start := time.Now()
		var pings []int
		for range 5 {
			p, err := packets.ReadPacket(far)
			if _, ok := p.(*packets.PingreqPacket); !ok {
				t.Fatalf("%v %v, want a ping", p, err)
			}
			pings = append(pings, int(time.Since(start).Seconds()))
			io.WriteString(far, "\xd0\x00")
		}
		if last := pings[4]; last > 5*40 {
			t.Errorf("pings after %v s: fewer than one in 40", pings)
		}
		answered := time.Now()
		go io.Copy(io.Discard, far)
		if err := <-over; !errors.Is(err, errSilent) {
			t.Errorf("ended with %v, want a silent broker", err)
		}
		if silent := time.Since(answered); silent != 60*time.Second {
			t.Errorf("a silent broker was noticed after %v, want 1.5 times the keep-alive", silent)
		}
	})
}

// What a peer does not read must not fill the memory.
func TestSlowBroker(t *testing.T) {
	c, _ := pair(t, Options{})
	run(c)
	data := make([]byte, 100_000)
	for _, qos := range []uint8{0, 1} {
		taken := 0
		var told atomic.Int64
		var err error
		for ; taken < 1000; taken++ { // the system may take a little more now and then
			if err = c.TryPublish("out", data, qos, false, func(error) { told.Add(int64(qos)) }); err != nil {
				break
			}
		}
		if !errors.Is(err, gather.ErrFull) {
			t.Errorf("100 MB of QoS %d went to a broker that reads nothing: %v", qos, err)
		}
		c.mu.Lock()
		if waited := len(c.flights); waited != taken*int(qos) {
			t.Errorf("%d publishes of QoS %d were taken, %d are waited for", taken, qos, waited)
		}
		c.mu.Unlock()
		if told.Load() > 0 {
			t.Error("somebody was told of a publish that nobody acknowledged")
		}
	}
}

func TestClose(t *testing.T) {
	c, b := pair(t, Options{})
	over := run(c)
	if err := c.Publish("last", []byte("words"), 0, false, nil); err != nil {
		t.Fatal(err)
	}
	c.Close()
	c.Close()
	b.expect("topicName: last")
	b.expect("DISCONNECT")
	if err := <-over; !errors.Is(err, net.ErrClosed) {
		t.Errorf("ended with %v", err)
	}
	if err := c.Publish("late", nil, 0, false, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("publish after the end: %v", err)
	}
}

func TestMalformedEndsTheConnection(t *testing.T) {
	for _, bad := range []string{"\x10\x00", "\x00\x00", "\x90\x04\x00\x01\x00\x01", "\x40\x00", "\x40\x01\x00", "\x36\x02\x00\x00"} {
		c, b := pair(t, Options{})
		over := run(c)
		io.WriteString(b, bad)
		if err := <-over; !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: ended with %v, want a malformed packet", bad, err)
		}
	}
}

// deafConn is a connection whose writes begin to fail while its reads wait.
type deafConn struct {
	net.Conn
	deaf atomic.Bool
}

var errDeaf = errors.New("broken pipe")

func (c *deafConn) Write(b []byte) (int, error) {
	if c.deaf.Load() {
		return 0, errDeaf
	}
	return c.Conn.Write(b)
}

func TestFailedWriteEndsTheConnection(t *testing.T) {
	near, far := connection(t)
	go io.WriteString(far, "\x20\x02\x00\x00")
	hearing := &deafConn{Conn: near}
	c, _, err := Open(t.Context(), hearing, Options{ClientID: "gw", KeepAlive: time.Minute, MaxPacket: 100})
	if err != nil {
		t.Fatal(err)
	}
	hearing.deaf.Store(true)
	c.Ack(1, 1)
	if err := <-run(c); !errors.Is(err, errDeaf) {
		t.Errorf("ended with %v, want the write error", err)
	}
}

func TestBlockingConn(t *testing.T) {
	near, far := connection(t)
	near.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if n, err := near.Read(make([]byte, 1)); n != 0 || !isTimeout(err) {
		t.Errorf("read %d bytes, %v, want a timeout", n, err)
	}
	near.SetReadDeadline(time.Time{})
	big := bytes.Repeat([]byte("0123456789"), 500_000)
	go func() {
		if n, err := near.Write(big); n != len(big) || err != nil {
			t.Errorf("wrote %d bytes, %v", n, err)
		}
	}()
	got := make([]byte, len(big))
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, big) {
		t.Errorf("what arrived differs, %v", err)
	}
	far.Close()
	if n, err := near.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read %d bytes, %v after the end", n, err)
	}
	near, _ = connection(t)
	over := make(chan error, 1)
	go func() {
		_, err := near.Read(make([]byte, 1))
		over <- err
	}()
	near.Close()
	if err := <-over; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a read while the connection is closed: %v", err)
	}
	if _, err := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after it: %v", err)
	}
}
