package broker_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2/packets"

	"github.com/skerry-edge/skerry/sensors/broker"
)

// peer5 is a client that speaks MQTT 5, with a codec that is not the broker's.
type peer5 struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func (r *rig) dial5(id string, clean bool, more ...func(*mochi.Packet)) (*peer5, mochi.Packet) {
	r.t.Helper()
	p := &peer5{t: r.t, Conn: r.dial().Conn}
	p.in = bufio.NewReader(p.Conn)
	pk := mochi.Packet{Connect: mochi.ConnectParams{ProtocolName: []byte("MQTT"), Clean: clean, Keepalive: 60, ClientIdentifier: id}}
	for _, m := range more {
		m(&pk)
	}
	p.send(mochi.Connect, pk)
	return p, p.read(mochi.Connack)
}

// join is dial5 with a session that lasts for an hour.
func (r *rig) join(id string, more ...func(*mochi.Packet)) *peer5 {
	r.t.Helper()
	p, ack := r.dial5(id, false, append(more, func(pk *mochi.Packet) {
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 3600, true
	})...)
	if ack.ReasonCode != 0 {
		r.t.Fatalf("%s: refused with %x", id, ack.ReasonCode)
	}
	return p
}

func (p *peer5) send(kind byte, pk mochi.Packet) {
	p.t.Helper()
	pk.FixedHeader.Type, pk.ProtocolVersion, pk.Mods.AllowResponseInfo = kind, 5, true
	var b bytes.Buffer
	var err error
	switch kind {
	case mochi.Connect:
		err = pk.ConnectEncode(&b)
	case mochi.Publish:
		err = pk.PublishEncode(&b)
	case mochi.Subscribe:
		pk.FixedHeader.Qos = 1
		err = pk.SubscribeEncode(&b)
	case mochi.Puback:
		err = pk.PubackEncode(&b)
	case mochi.Disconnect:
		err = pk.DisconnectEncode(&b)
	case mochi.Pingreq:
		err = pk.PingreqEncode(&b)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.Write(b.Bytes()); err != nil {
		p.t.Fatal(err)
	}
}

// read is the next packet, which has to be of a kind.
func (p *peer5) read(kind byte) mochi.Packet {
	p.t.Helper()
	first, err := p.in.ReadByte()
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	pk := mochi.Packet{ProtocolVersion: 5}
	if err := pk.FixedHeader.Decode(first); err != nil {
		p.t.Fatal(err)
	}
	n, _, err := mochi.DecodeLength(p.in)
	if err != nil {
		p.t.Fatal(err)
	}
	pk.FixedHeader.Remaining = n
	body := make([]byte, n)
	if _, err := io.ReadFull(p.in, body); err != nil {
		p.t.Fatal(err)
	}
	if pk.FixedHeader.Type != kind {
		p.t.Fatalf("got %s %x, want %s", mochi.PacketNames[first>>4], body, mochi.PacketNames[kind])
	}
	decode := map[byte]func([]byte) error{
		mochi.Connack: pk.ConnackDecode, mochi.Publish: pk.PublishDecode, mochi.Suback: pk.SubackDecode,
		mochi.Puback: pk.PubackDecode, mochi.Pubrec: pk.PubrecDecode, mochi.Disconnect: pk.DisconnectDecode,
		mochi.Pingresp: func([]byte) error { return nil },
	}[kind]
	if err := decode(body); err != nil {
		p.t.Fatal(err)
	}
	return pk
}

func (p *peer5) subscribe(id uint16, filters ...mochi.Subscription) []byte {
	p.t.Helper()
	p.send(mochi.Subscribe, mochi.Packet{PacketID: id, Filters: filters})
	return p.read(mochi.Suback).ReasonCodes
}

func (p *peer5) publish(id uint16, qos byte, topic, text string, more ...func(*mochi.Packet)) {
	p.t.Helper()
	pk := mochi.Packet{PacketID: id, TopicName: topic, Payload: []byte(text)}
	pk.FixedHeader.Qos = qos
	for _, m := range more {
		m(&pk)
	}
	p.send(mochi.Publish, pk)
}

func (p *peer5) silent(why string) {
	p.t.Helper()
	p.send(mochi.Pingreq, mochi.Packet{})
	first, err := p.in.Peek(1)
	if err != nil || first[0] != mochi.Pingresp<<4 {
		p.t.Errorf("%s: got %x, %v", why, first, err)
	}
	p.read(mochi.Pingresp)
}

func TestMQTT5(t *testing.T) {
	r := start(t, stored(t), func(o *broker.Options) { o.Limits.Away = time.Hour })
	_, ack := r.dial5("", true)
	if props := ack.Properties; props.AssignedClientID == "" || props.ReceiveMaximum != 256 || props.MaximumPacketSize != 256<<10 || props.SubIDAvailable != 0 || !props.SubIDAvailableFlag {
		t.Errorf("CONNACK %+v", props)
	}
	_, ack = r.dial5("forever", false, func(pk *mochi.Packet) {
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 1<<32-1, true
	})
	if ack.Properties.SessionExpiryInterval != 3600 {
		t.Errorf("a session for ever gets %d s", ack.Properties.SessionExpiryInterval)
	}

	sub := r.join("sub")
	codes := sub.subscribe(1, mochi.Subscription{Filter: "a/#", Qos: 1, RetainAsPublished: true}, mochi.Subscription{Filter: "$share/g"})
	if codes[0] != 1 || codes[1] != 0x8f {
		t.Errorf("granted %x", codes)
	}
	pub := r.join("pub")
	pub.publish(7, 1, "a/1", "x", func(pk *mochi.Packet) {
		pk.FixedHeader.Retain = true
		pk.Properties = mochi.Properties{
			ContentType: "text/plain", ResponseTopic: "answers", CorrelationData: []byte("17"), PayloadFormat: 1,
			PayloadFormatFlag: true, User: []mochi.UserProperty{{Key: "k", Val: "v"}, {Key: "k", Val: "w"}}, MessageExpiryInterval: 100,
		}
	})
	m := sub.read(mochi.Publish)
	if p := m.Properties; p.ContentType != "text/plain" || p.ResponseTopic != "answers" || string(p.CorrelationData) != "17" ||
		p.PayloadFormat != 1 || len(p.User) != 2 || p.User[1].Val != "w" || p.MessageExpiryInterval < 99 || !m.FixedHeader.Retain {
		t.Errorf("message %+v %+v", m.FixedHeader, p)
	}
	sub.send(mochi.Puback, mochi.Packet{PacketID: m.PacketID})
	pub.read(mochi.Puback)
	v3 := r.lasting("v3")
	v3.subscribe(1, 1, "a/1")
	same(t, "MQTT 3.1.1", v3.receive(1), "a/1 x 1 retained")
}

// TestMQTT5Options are those of a subscription.
func TestMQTT5Options(t *testing.T) {
	r := start(t)
	p := r.join("p")
	p.publish(0, 0, "a/1", "kept", func(pk *mochi.Packet) { pk.FixedHeader.Retain = true })
	p.subscribe(1, mochi.Subscription{Filter: "a/1", RetainHandling: 2})
	p.silent("retain handling 2")
	p.subscribe(2, mochi.Subscription{Filter: "a/+", RetainHandling: 1, NoLocal: true})
	p.read(mochi.Publish)
	p.subscribe(3, mochi.Subscription{Filter: "a/+", RetainHandling: 1, NoLocal: true})
	p.silent("retain handling 1, and the filter is not new")
	p.subscribe(4, mochi.Subscription{Filter: "b/+", NoLocal: true})
	p.publish(0, 0, "b/1", "own")
	p.silent("no local")
	p.send(mochi.Subscribe, mochi.Packet{PacketID: 5, Filters: mochi.Subscriptions{{Filter: "c"}}, Properties: mochi.Properties{SubscriptionIdentifier: []int{1}}})
	if d := p.read(mochi.Disconnect); d.ReasonCode != 0xa1 {
		t.Errorf("a subscription identifier ends with %x", d.ReasonCode)
	}
}

// TestMQTT5Window: a client says how much it takes at once, and in what size.
func TestMQTT5Window(t *testing.T) {
	r := start(t)
	sub := r.join("sub", func(pk *mochi.Packet) { pk.Properties.ReceiveMaximum, pk.Properties.MaximumPacketSize = 2, 100 })
	sub.subscribe(1, mochi.Subscription{Filter: "#", Qos: 1})
	pub := r.lasting("pub")
	for i := range 5 {
		pub.publish("a", fmt.Sprint(i), 1)
		pub.publish("a", strings.Repeat("x", 100), 1) // too large for this client
	}
	first, second := sub.read(mochi.Publish), sub.read(mochi.Publish)
	sub.silent("two are unacknowledged")
	got := []mochi.Packet{first, second}
	for i := range 5 {
		sub.send(mochi.Puback, mochi.Packet{PacketID: got[i].PacketID})
		if i < 3 {
			got = append(got, sub.read(mochi.Publish))
		}
		if string(got[i].Payload) != fmt.Sprint(i) {
			t.Errorf("message %d is %q", i, got[i].Payload)
		}
	}
	sub.silent("that was all")
}

func TestMQTT5Wills(t *testing.T) {
	r := start(t)
	sub := r.join("sub")
	sub.subscribe(1, mochi.Subscription{Filter: "gone/+"})
	will := func(topic string, delay uint32) func(*mochi.Packet) {
		return func(pk *mochi.Packet) {
			pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, topic, []byte("x")
			pk.Connect.WillProperties.WillDelayInterval = delay
		}
	}
	late := r.join("late", will("gone/late", 60))
	late.Close()
	r.clients(1)
	r.join("late", will("gone/later", 60)).Close() // back in time
	r.clients(1)
	wanted := r.join("wanted", will("gone/wanted", 0))
	wanted.send(mochi.Disconnect, mochi.Packet{ReasonCode: 4})
	if m := sub.read(mochi.Publish); m.TopicName != "gone/wanted" {
		t.Errorf("got %s", m.TopicName)
	}
	sub.silent("before the delay is over")
	r.Sweep(time.Now().Unix() + 61)
	if m := sub.read(mochi.Publish); m.TopicName != "gone/later" {
		t.Errorf("got %s", m.TopicName)
	}
	short := r.join("short", will("gone/short", 600))
	short.send(mochi.Disconnect, mochi.Packet{ReasonCode: 4, Properties: mochi.Properties{SessionExpiryInterval: 1, SessionExpiryIntervalFlag: true}})
	r.clients(1)
	r.Sweep(time.Now().Unix() + 10) // the session ends before the delay does
	if m := sub.read(mochi.Publish); m.TopicName != "gone/short" {
		t.Errorf("got %s", m.TopicName)
	}
}

// TestMQTT5Refusals tell why.
func TestMQTT5Refusals(t *testing.T) {
	r := start(t, func(o *broker.Options) {
		o.Login = func(l broker.Login) (broker.Rights, bool) {
			return broker.Rights{Publish: []string{"a/#"}}, l.User != "stranger"
		}
	})
	_, ack := r.dial5("x", true, func(pk *mochi.Packet) { pk.Connect.UsernameFlag, pk.Connect.Username = true, []byte("stranger") })
	if ack.ReasonCode != 0x86 {
		t.Errorf("a stranger is told %x", ack.ReasonCode)
	}
	_, ack = r.dial5("x", true, func(pk *mochi.Packet) { pk.Properties.AuthenticationMethod = "SCRAM" })
	if ack.ReasonCode != 0x8c {
		t.Errorf("an authentication method is answered with %x", ack.ReasonCode)
	}
	p := r.join("p")
	p.publish(1, 1, "b", "x")
	if ack := p.read(mochi.Puback); ack.ReasonCode != 0x87 {
		t.Errorf("without the right: %x", ack.ReasonCode)
	}
	p.publish(2, 2, "b", "x")
	if ack := p.read(mochi.Pubrec); ack.ReasonCode != 0x87 {
		t.Errorf("without the right: %x", ack.ReasonCode)
	}
	r.join("p")
	if d := p.read(mochi.Disconnect); d.ReasonCode != 0x8e {
		t.Errorf("taken over: %x", d.ReasonCode)
	}
	for code, more := range map[byte]func(*mochi.Packet){
		0x94: func(pk *mochi.Packet) { pk.Properties.TopicAlias, pk.Properties.TopicAliasFlag = 1, true },
		0x95: func(pk *mochi.Packet) { pk.Payload = make([]byte, 300<<10) },
	} {
		p := r.join("q")
		p.publish(1, 1, "a/1", "x", more)
		if d := p.read(mochi.Disconnect); d.ReasonCode != code {
			t.Errorf("told %x, want %x", d.ReasonCode, code)
		}
	}
	old := r.dial()
	if _, err := old.Write([]byte("\x10\x0d\x00\x04MQTT\x09\x02\x00\x3c\x00\x01x")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 5)
	if n, err := io.ReadFull(old, answer); !errors.Is(err, io.ErrUnexpectedEOF) || string(answer[:n]) != "\x20\x02\x00\x01" {
		t.Errorf("version 9 is answered with %x, %v", answer[:n], err)
	}
}

// TestMessagesExpire: what is too old when its client comes is not sent.
func TestMessagesExpire(t *testing.T) {
	r := start(t, stored(t))
	sub := r.join("sub")
	sub.subscribe(1, mochi.Subscription{Filter: "#", Qos: 1})
	sub.send(mochi.Disconnect, mochi.Packet{})
	r.clients(0)
	pub := r.join("pub")
	pub.publish(1, 1, "a", "short", func(pk *mochi.Packet) { pk.Properties.MessageExpiryInterval = 1 })
	pub.publish(2, 1, "a", "long", func(pk *mochi.Packet) { pk.Properties.MessageExpiryInterval = 1000 })
	pub.read(mochi.Puback)
	pub.read(mochi.Puback)
	time.AfterFunc(1100*time.Millisecond, func() { r.stop() })
	<-r.over
	r.begin()
	sub = r.join("sub")
	if m := sub.read(mochi.Publish); string(m.Payload) != "long" || m.Properties.MessageExpiryInterval > 999 {
		t.Errorf("got %q with %d s to live", m.Payload, m.Properties.MessageExpiryInterval)
	}
	sub.silent("the other is too old")
}

// FuzzServe: no client, whatever it sends, takes the broker down.
func FuzzServe(f *testing.F) {
	hello := "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x"
	hello5 := "\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01x"
	for _, h := range []string{hello, hello5} {
		f.Add([]byte(h + "\x82\x06\x00\x01\x00\x01a\x01" + "\x32\x06\x00\x01a\x00\x01x" + "\xe0\x00"))
		f.Add([]byte(h + "\x34\x06\x00\x01a\x00\x01x" + "\x62\x02\x00\x01" + "\xc0\x00"))
	}
	f.Add([]byte(hello5 + "\x82\x08\x00\x01\x00\x00\x01a\x25" + "\x30\x0a\x00\x01a\x05\x02\x00\x00\x00\x05x"))
	f.Add([]byte(hello5 + "\x82\x06\x00\x01\x00\x00\x01a"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		b, err := broker.New(broker.Options{
			Inlet: &inlet{filter: "a/#"}, Login: func(broker.Login) (broker.Rights, bool) { return broker.Rights{}, true },
			Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		go func() {
			far.Write(sent)
			far.Close()
		}()
		go io.Copy(io.Discard, far)
		b.Serve(near)
		if st := b.Stats(); st.Clients != 0 {
			t.Errorf("%+v after the client is gone", st)
		}
	})
}
