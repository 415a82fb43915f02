package sensors

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/skerry-edge/skerry/agent"
)

// These rules are tested from inside: at the boundary they show only as a
// message more or less.

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		wide, narrow string
		want         bool
	}{
		{"#", "a/b", true},
		{"#", "+/b/#", true},
		{"a/#", "a", true}, // # includes the level above
		{"a/#", "a/b/c", true},
		{"a/#", "a/+/c", true},
		{"a/+", "a/b", true},
		{"a/+", "a/+", true},
		{"+/+", "a/+", true},
		{"a/+", "a/#", false},
		{"a/+", "a", false},
		{"a/b", "a/+", false},
		{"a/b", "a/b/c", false},
		{"a/b/c", "a/b", false},
		{"#", "$SYS/load", false}, // wildcards do not match the broker's own topics
		{"+/load", "$SYS/load", false},
		{"$SYS/#", "$SYS/load", true},
		{"#", "$share/g/a", false},
		{"$share/g/#", "$share/g/a", false},
	} {
		if got := covers(tt.wide, tt.narrow); got != tt.want {
			t.Errorf("covers(%q, %q) = %v, want %v", tt.wide, tt.narrow, got, tt.want)
		}
	}
}

func TestWantedFilters(t *testing.T) {
	got, problems := wantedFilters("b", []agent.Trigger{
		{Via: "b", Filter: "a/#"},
		{Via: "b", Filter: "a/b", QoS: 1},
		{Via: "b", Name: "app/two", Filter: "a/b", Share: "g", QoS: 2},
		{Via: "x", Filter: "x"},
		{Via: "b", Name: "app/bad", Filter: "a/#/b"},
		{Via: "b", Name: "app/group", Filter: "a", Share: "g/h"},
	})
	if want := (map[string]byte{"a/#": 1, "$share/g/a/b": 1}); !maps.Equal(got, want) {
		t.Errorf("wanted %v, want %v", got, want)
	}
	if len(problems) != 3 || problems[0] != "trigger app/two: QoS 2 is subscribed as QoS 1" ||
		!strings.HasPrefix(problems[1], "trigger app/bad") || !strings.Contains(problems[2], "one level") {
		t.Errorf("problems %q", problems)
	}
}

func TestDefaultClientID(t *testing.T) {
	seen := map[string]bool{}
	for _, names := range [][2]string{
		{"gw7", "plant"},
		{"gw/7", "plant"},
		{"gw 7", "plant"},
		{"gwü", "plant"},
		{strings.Repeat("x", 100), "plant"},
		{strings.Repeat("x", 101), "plant"},
	} {
		id := defaultClientID(names[0], names[1])
		if id != defaultClientID(names[0], names[1]) || seen[id] || len(id) > maxClientID {
			t.Errorf("client id %q of %q is not stable, unique and bounded", id, names)
		}
		if strings.ContainsFunc(id, func(r rune) bool { return !isPlain(r) }) {
			t.Errorf("client id %q is not plain", id)
		}
		seen[id] = true
	}
	if !seen["skerry-gw7-plant"] {
		t.Errorf("plain names should stay readable: %v", seen)
	}
}

// TestHash holds the function still: its values outlive restarts.
func TestHash(t *testing.T) {
	if got := hash("site/7/temp", []byte(`{"t":21}`)); got != hashOfReading {
		t.Errorf("hash = %d, want %d", got, uint64(hashOfReading))
	}
	if hash("a", []byte("b")) == hash("ab", nil) {
		t.Error("topic and data run into each other")
	}
}

// TestSession walks through what may happen between gateway and broker.
func TestSession(t *testing.T) {
	n := &memoryNotes{}
	fresh := func() *session {
		s := newSession("plant", "id", "tcp://h:1", n, discard)
		s.load()
		return s
	}
	connect := func(s *session, present bool, wanted map[string]byte) (add map[string]byte, remove []string) {
		s.connected(present, s.connecting())
		return s.plan(wanted)
	}
	settle := func(s *session, add map[string]byte, remove []string) {
		for f, q := range add {
			s.granted(f, q)
		}
		for _, f := range remove {
			s.removed(f)
		}
		s.settled()
	}
	ab := map[string]byte{"a": 1, "b": 0}

	s := fresh()
	add, remove := connect(s, false, ab)
	if !maps.Equal(add, ab) || len(remove) > 0 {
		t.Fatalf("new session: subscribe %v, unsubscribe %v", add, remove)
	}
	settle(s, add, remove)

	s = fresh() // a restart
	if add, remove = connect(s, true, ab); len(add)+len(remove) > 0 {
		t.Errorf("kept session: subscribe %v, unsubscribe %v", add, remove)
	}
	s.settled()
	if add, _ = connect(s, true, map[string]byte{"a": 0, "b": 0}); !maps.Equal(add, map[string]byte{"a": 0}) {
		t.Errorf("another QoS: subscribe %v", add)
	}

	s = fresh() // a crash before the answer: a and b are not sure any more
	if add, remove = connect(s, true, ab); !maps.Equal(add, ab) || len(remove) > 0 {
		t.Errorf("after a crash while subscribing: subscribe %v, unsubscribe %v", add, remove)
	}
	settle(s, add, remove)

	s.connecting() // and a crash before the answer to CONNECT, which may have begun an empty session
	s = fresh()
	if add, remove = connect(s, true, map[string]byte{"a": 1}); !maps.Equal(add, map[string]byte{"a": 1}) || len(remove) != 1 {
		t.Errorf("after a crash while connecting: subscribe %v, unsubscribe %v", add, remove)
	}
	settle(s, add, remove)

	n.broken = true
	if _, remove = connect(s, true, nil); len(remove) > 0 {
		t.Errorf("unsubscribed %v though the old note still promises it", remove)
	}
	n.broken = false
	if _, remove = s.plan(nil); len(remove) != 1 {
		t.Errorf("unsubscribe %v once notes work again", remove)
	}
	if other := newSession("plant", "another", "tcp://h:1", n, discard); len(func() []string { other.load(); return other.filters() }()) > 0 {
		t.Error("the note of another client id was believed")
	}
}

func encode(t testing.TB, p packets.ControlPacket) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func publishPacket(topic, data string, qos byte, id uint16) *packets.PublishPacket {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload, p.Qos, p.MessageID, p.Dup = topic, []byte(data), qos, id, qos > 0
	return p
}

func TestPacketReader(t *testing.T) {
	var stream []byte
	for _, p := range []packets.ControlPacket{
		publishPacket("a", "small", 1, 7),
		publishPacket("a/b", strings.Repeat("x", 70_000), 1, 8),
		packets.NewControlPacket(packets.Pingresp),
		publishPacket(strings.Repeat("t", 600), strings.Repeat("x", 200), 0, 0),
		publishPacket("a", strings.Repeat("x", 497), 0, 0), // 500 bytes: the limit
		publishPacket("end", "", 1, 9),
	} {
		stream = append(stream, encode(t, p)...)
	}
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(stream), "bytes": iotest.OneByteReader(bytes.NewReader(stream)),
	} {
		var got []string
		in := newPacketReader(r, 4096, 500)
		for {
			p, err := packets.ReadPacket(in)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if pub, ok := p.(*packets.PublishPacket); ok {
				topic, size, big := parseOversize(pub.TopicName)
				if !big {
					topic = pub.TopicName
				}
				got = append(got, strings.Join([]string{topic[:min(len(topic), 3)], itoa(int(pub.MessageID)), itoa(len(pub.Payload)), itoa(int(size))}, " "))
			}
		}
		want := []string{"a 7 5 0", "a/b 8 0 70007", "ttt 0 0 802", "a 0 497 0", "end 9 0 0"}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestPacketReaderRefuses(t *testing.T) {
	for name, stream := range map[string]string{
		"CONNECT":            "\x10\x00",
		"no type":            "\x00\x00",
		"endless length":     "\x30\xff\xff\xff\xff\x7f",
		"two codes":          "\x90\x04\x00\x01\x00\x01",
		"huge PUBACK":        "\x40\xff\xff\xff\x7f",
		"topic over the end": "\x30\xff\x7f\xff\xff",
		"no room for the id": "\x32\xff\x7f\x3f\xfd" + strings.Repeat("t", 16381),
	} {
		if _, err := io.ReadAll(newPacketReader(strings.NewReader(stream), 4096, 500)); !errors.Is(err, errPacket) {
			t.Errorf("%s: %v, want a malformed packet", name, err)
		}
	}
}

func FuzzPacketReader(f *testing.F) {
	f.Add(encode(f, publishPacket("a/b", strings.Repeat("x", 300), 1, 8)), 100)
	f.Add(encode(f, publishPacket("a/b", "x", 0, 0)), 7)
	f.Add([]byte("\x90\x03\x00\x01\x80\xd0\x00"), 3)
	f.Fuzz(func(t *testing.T, stream []byte, chunk int) {
		const limit = 128
		in := newPacketReader(bytes.NewReader(stream), 512, limit)
		var out []byte
		buf := make([]byte, max(1, min(chunk, 1000)))
		for {
			n, err := in.Read(buf)
			out = append(out, buf[:n]...)
			if err != nil {
				break
			}
		}
		if len(in.head) > limit+maxTopicMarker {
			t.Errorf("%d bytes held", len(in.head))
		}
		checkPackets(t, out, limit)
	})
}

const maxTopicMarker = 600 // bytes that a shortened packet may have

// checkPackets reads a stream back: each packet must have sound bounds, and
// must not make paho panic.
func checkPackets(t *testing.T, stream []byte, limit int64) {
	t.Helper()
	r := bytes.NewReader(stream)
	again := newPacketReader(bytes.NewReader(stream), 512, limit+maxTopicMarker)
	if out, _ := io.ReadAll(again); !bytes.Equal(out, stream) {
		t.Errorf("what was let through is changed by a second reader")
	}
	for {
		if _, err := packets.ReadPacket(r); err != nil && r.Len() == 0 {
			return
		}
	}
}

const hashOfReading = 9707844751563433156 // FNV-1a of the topic, 0, and the data

var discard = slog.New(slog.DiscardHandler)

func itoa(n int) string { return strconv.Itoa(n) }

// memoryNotes is a Notes that can fail.
type memoryNotes struct {
	value  []byte
	broken bool
}

func (n *memoryNotes) Get(string) ([]byte, error) { return n.value, nil }

func (n *memoryNotes) Put(_ string, value []byte) error {
	if n.broken {
		return errors.New("disk full")
	}
	n.value = value
	return nil
}

// fakeMessage is a paho message of QoS 1.
type fakeMessage struct{ data []byte }

func (fakeMessage) Duplicate() bool   { return false }
func (fakeMessage) Qos() byte         { return 1 }
func (fakeMessage) Retained() bool    { return false }
func (fakeMessage) Topic() string     { return "site/7/temp" }
func (fakeMessage) MessageID() uint16 { return 17 }
func (m fakeMessage) Payload() []byte { return m.data }
func (fakeMessage) Ack()              {}

// BenchmarkReceive is the way of a message of QoS 1 from paho to the agent and
// back to its acknowledgement.
func BenchmarkReceive(b *testing.B) {
	m, err := NewMQTT(MQTTOptions{Name: "plant", Device: "gw7", URL: "tcp://127.0.0.1:1", Log: discard})
	if err != nil {
		b.Fatal(err)
	}
	l := newLink(m, func(_ *agent.Event, done func(error)) { done(nil) })
	msg := fakeMessage{[]byte(`{"sensor":"temp-17","t":21.5,"unit":"C","seq":123456,"ok":true,"site":"north-3","ts":1760000000}`)}
	b.ReportAllocs()
	for b.Loop() {
		l.receive(nil, msg)
		l.ring.release()
	}
}

// BenchmarkPacketReader reads publishes of some 120 bytes.
func BenchmarkPacketReader(b *testing.B) {
	one := encode(b, publishPacket("site/7/temp", strings.Repeat("x", 100), 1, 7))
	stream := bytes.Repeat(one, 1000)
	src := bytes.NewReader(stream)
	in := newPacketReader(src, readBuffer, defaultMaxPacket)
	buf := make([]byte, len(one))
	b.SetBytes(int64(len(one)))
	for b.Loop() {
		if src.Len() == 0 && in.r.Buffered() < len(one) {
			src.Reset(stream)
		}
		if _, err := io.ReadFull(in, buf); err != nil {
			b.Fatal(err)
		}
	}
}

// deafConn is a connection whose writes fail while its reads wait.
type deafConn struct{ net.Conn }

var errDeaf = errors.New("broken pipe")

func (deafConn) Write([]byte) (int, error) { return 0, errDeaf }

// TestFailedWriteEndsTheLink holds a trap shut: paho does not notice when its
// connection was closed under it.
func TestFailedWriteEndsTheLink(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	lost := make(chan error, 10)
	g := newGatherConn(deafConn{near}, 1000, func(err error) { lost <- err })
	defer g.Close()
	if _, err := g.Write([]byte("PUBACK")); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Read(make([]byte, 1)); err == nil {
		t.Error("read from a connection that cannot write")
	}
	if err := <-lost; !errors.Is(err, errDeaf) {
		t.Errorf("lost because of %v, want the write error", err)
	}
	if err := g.out.TryWrite([]byte("x")); !errors.Is(err, errDeaf) {
		t.Errorf("write after a failed one: %v", err)
	}
}
