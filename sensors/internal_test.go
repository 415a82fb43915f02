package sensors

import (
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors/mqtt"
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
		id := ClientID(names[0], names[1])
		if id != ClientID(names[0], names[1]) || seen[id] || len(id) > maxClientID {
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

const hashOfReading = 9707844751563433156 // FNV-1a of the topic, 0, and the data

var discard = slog.New(slog.DiscardHandler)

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

// BenchmarkReceive is the way of a message of QoS 1 from the connection to the
// agent and back to its acknowledgement.
func BenchmarkReceive(b *testing.B) {
	m, err := NewMQTT(MQTTOptions{Name: "plant", Device: "gw7", URL: "tcp://127.0.0.1:1", Log: discard})
	if err != nil {
		b.Fatal(err)
	}
	l := newLink(m, func(_ *agent.Event, done func(error)) { done(nil) })
	near, far := net.Pipe()
	defer far.Close()
	go func() {
		packets.ReadPacket(far)
		io.WriteString(far, "\x20\x02\x00\x00")
		io.Copy(io.Discard, far)
	}()
	if l.conn, _, err = mqtt.Open(b.Context(), near, mqtt.Options{ClientID: "gw7", KeepAlive: time.Minute, MaxPacket: 1000}); err != nil {
		b.Fatal(err)
	}
	msg := mqtt.Message{
		Topic: "site/7/temp", QoS: 1, ID: 17,
		Payload: []byte(`{"sensor":"temp-17","t":21.5,"unit":"C","seq":123456,"ok":true,"site":"north-3","ts":1760000000}`),
	}
	b.ReportAllocs()
	for b.Loop() {
		l.receive(&msg)
		l.ring.release()
	}
}
