package broker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors/broker"
)

// TestOfflineQueueKeepsItsOrder has more wait than one window takes.
func TestOfflineQueueKeepsItsOrder(t *testing.T) {
	r := start(t, stored(t), func(o *broker.Options) { o.Limits.Inflight = 10 })
	c := r.lasting("a")
	c.subscribe(1, 1, "a/#")
	c.bye()
	other, _ := r.connect("b", true)
	var want []string
	for i := range 200 {
		other.publish("a/1", fmt.Sprint(i), 1)
		want = append(want, fmt.Sprint("a/1 ", i, " 1"))
	}
	same(t, "order", r.lasting("a").receive(200), want...)
}

// TestPacketIDsOfBothSides: a client numbers its packets by itself, and may use
// ids that the broker uses too.
func TestPacketIDsOfBothSides(t *testing.T) {
	r := start(t)
	c := r.lasting("a")
	c.subscribe(1, 1, "a/#")
	other, _ := r.connect("b", true)
	other.publish("a/1", "not acknowledged", 1)
	m := expect[*packets.PublishPacket](c)
	if codes := c.subscribe(m.MessageID, 1, "b/#"); codes[0] != 1 {
		t.Errorf("a filter is refused: %v", codes)
	}
	c.post(m.MessageID, "c/1", "x", 1)
	expect[*packets.PubackPacket](c)
	c.post(m.MessageID, "c/1", "x", 2)
	expect[*packets.PubrecPacket](c)
	c.release(m.MessageID)
	c.Close()
	r.clients(1)
	same(t, "what was not acknowledged", r.lasting("a").receive(1), "a/1 not acknowledged 1 again")
}

// TestTakeover: the newest connection of a client id gets the session.
func TestTakeover(t *testing.T) {
	r := start(t)
	first := r.lasting("a")
	first.subscribe(1, 1, "a/#")
	second, present := r.connect("a", false)
	if !present {
		t.Error("the session did not move")
	}
	first.closed("taken over")
	second.publish("a/1", "x", 0)
	same(t, "message", second.receive(1), "a/1 x 0")
	third, present := r.connect("a", true)
	if present {
		t.Error("a clean session has the old one")
	}
	third.publish("a/1", "x", 1)
	third.silent("the subscription is gone")
}

// TestExactlyOnce: a message of QoS 2 that is sent again goes on once.
func TestExactlyOnce(t *testing.T) {
	in := &inlet{filter: "a/#", hold: true}
	r := start(t, stored(t), func(o *broker.Options) { o.Inlet = in })
	sub := r.lasting("sub")
	sub.subscribe(1, 2, "a/#")
	p := r.lasting("pub")
	p.post(5, "a/1", "x", 2)
	p.silent("acknowledged before the inlet kept it")
	p.Close()
	r.clients(1)
	p = r.lasting("pub")
	p.post(5, "a/1", "x", 2, again)
	p.silent("acknowledged before the inlet kept it")
	in.letGo()
	same(t, "subscriber", sub.receive(1), "a/1 x 2")
	if rec := expect[*packets.PubrecPacket](p); rec.MessageID != 5 {
		t.Errorf("PUBREC for %d", rec.MessageID)
	}
	r.crash()
	p = r.lasting("pub")
	p.post(5, "a/1", "x", 2, again)
	expect[*packets.PubrecPacket](p)
	p.release(5)
	same(t, "events", in.events(), "a/1 x 2")
	p.post(5, "a/1", "y", 2)
	testbed.Eventually(t, patience, "a new message of the same id", func() error {
		if got := in.events(); len(got) != 2 {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
}

// TestAcknowledgedInOrder: outcomes come in any order, acknowledgements do not.
func TestAcknowledgedInOrder(t *testing.T) {
	in := &inlet{filter: "slow/#", hold: true}
	r := start(t, func(o *broker.Options) { o.Inlet = in })
	p := r.lasting("pub")
	p.post(1, "slow/1", "x", 1)
	p.post(2, "fast/1", "x", 1)
	p.silent("the first one has no outcome")
	in.letGo()
	for id := range uint16(2) {
		if ack := expect[*packets.PubackPacket](p); ack.MessageID != id+1 {
			t.Errorf("PUBACK for %d, want %d", ack.MessageID, id+1)
		}
	}
}

func TestRights(t *testing.T) {
	r := start(t, func(o *broker.Options) {
		o.Login = func(l broker.Login) (broker.Rights, bool) {
			return broker.Rights{Publish: []string{"%u/%c/#", "all"}, Subscribe: []string{"to/%c/+"}}, l.User == "plc" && string(l.Password) == "right"
		}
	})
	as := func(user, password string) func(*packets.ConnectPacket) {
		return func(p *packets.ConnectPacket) {
			p.UsernameFlag, p.PasswordFlag, p.Username, p.Password = true, true, user, []byte(password)
		}
	}
	p := r.dial()
	if ack := p.hello("x", true, as("plc", "wrong")); ack.ReturnCode != 5 {
		t.Errorf("a wrong password is answered with %d", ack.ReturnCode)
	}
	p.closed("wrong password")
	c, _ := r.connect("x", true, as("plc", "right"))
	c.publish("plc/x/temp", "1", 1)
	c.publish("all", "1", 2)
	if codes := c.subscribe(1, 1, "to/x/+", "to/x/1", "to/+/1", "#"); !slices.Equal(codes, []byte{1, 1, 0x80, 0x80}) {
		t.Errorf("granted %v", codes)
	}
	c.publish("plc/y/temp", "1", 0)
	c.silent("QoS 0 without the right is dropped")
	if n := r.Stats().Lost.Refused; n != 1 {
		t.Errorf("%d refused", n)
	}
	c.post(1, "plc/y/temp", "1", 1)
	c.closed("QoS 1 without the right")
	odd, _ := r.connect("x/#", true, as("plc", "right"))
	odd.post(1, "plc/x/temp", "1", 1)
	odd.closed("a client id with wildcards has no rights of its own")
	w := r.dial()
	if ack := w.hello("w", true, as("plc", "right"), func(p *packets.ConnectPacket) {
		p.WillFlag, p.WillTopic, p.WillMessage = true, "plc/y/gone", []byte("x")
	}); ack.ReturnCode != 5 {
		t.Errorf("a will without the right is answered with %d", ack.ReturnCode)
	}
}

// TestLimits has each bound reached.
func TestLimits(t *testing.T) {
	r := start(t, func(o *broker.Options) {
		o.Limits = broker.Limits{Clients: 3, Packet: 1000, Inflight: 2, Queue: 3, Retained: 1, Filters: 2}
	})
	c := r.lasting("a")
	if codes := c.subscribe(1, 1, "a", "b", "c"); !slices.Equal(codes, []byte{1, 1, 0x80}) {
		t.Errorf("granted %v", codes)
	}
	p, _ := r.connect("b", true)
	for i := range 7 {
		p.publish("a", fmt.Sprint(i), 1)
	}
	if lost := r.Stats().Lost.Full; lost != 2 {
		t.Errorf("%d messages dropped, 2 are in flight and 3 wait of 7", lost)
	}
	same(t, "the oldest", c.receive(5), "a 0 1", "a 1 1", "a 2 1", "a 3 1", "a 4 1")
	p.publish("r/1", "x", 1, retained)
	p.publish("r/2", "x", 1, retained)
	if st := r.Stats(); st.Retained != 1 || st.Lost.Kept != 1 {
		t.Errorf("%+v", st)
	}
	big, _ := r.connect("big", true)
	big.post(1, "a", strings.Repeat("x", 1000), 1)
	big.closed("a packet over the limit")
	r.clients(2)
	r.connect("d", true)
	over := r.dial()
	over.closed("one client too many")
}

// TestPublishersAreHeldBack: a client may have so much unacknowledged, and the
// broker reads no more of it until then.
func TestPublishersAreHeldBack(t *testing.T) {
	in := &inlet{filter: "#", hold: true}
	r := start(t, func(o *broker.Options) { o.Inlet, o.Limits.Inflight = in, 2 })
	p := r.lasting("pub")
	for id := range uint16(4) {
		p.post(id+1, "a", fmt.Sprint(id), 1)
	}
	testbed.Eventually(t, patience, "two events", func() error {
		if got := in.events(); len(got) != 2 {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
	in.letGo()
	expect[*packets.PubackPacket](p)
	expect[*packets.PubackPacket](p)
	testbed.Eventually(t, patience, "four events", func() error {
		if got := in.events(); len(got) != 4 {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
	in.letGo()
	expect[*packets.PubackPacket](p)
	expect[*packets.PubackPacket](p)
}

// TestReservedTopics: what clients publish to topics with $ goes nowhere.
func TestReservedTopics(t *testing.T) {
	in := &inlet{filter: "$SYS/#"}
	r := start(t, func(o *broker.Options) { o.Inlet = in })
	c := r.lasting("a")
	c.subscribe(1, 1, "$SYS/#")
	for qos := range byte(3) {
		c.publish("$SYS/broker/state", "1", qos, retained)
	}
	w, _ := r.connect("w", true, func(p *packets.ConnectPacket) {
		p.WillFlag, p.WillTopic, p.WillMessage = true, "$SYS/broker/state", []byte("0")
	})
	w.Close()
	r.clients(1)
	c.silent("nobody gets it")
	if st := r.Stats(); st.Retained != 0 || len(in.events()) != 0 {
		t.Errorf("%+v, events %q", st, in.events())
	}
}

func TestSharedSubscription(t *testing.T) {
	r := start(t)
	one, two := r.lasting("one"), r.lasting("two")
	for _, c := range []*peer{one, two} {
		c.subscribe(1, 1, "$share/g/jobs/+")
	}
	p, _ := r.connect("pub", true)
	for i := range 4 {
		p.publish("jobs/1", fmt.Sprint(i), 1)
	}
	got := slices.Concat(one.receive(2), two.receive(2))
	slices.Sort(got)
	same(t, "divided", got, "jobs/1 0 1", "jobs/1 1 1", "jobs/1 2 1", "jobs/1 3 1")
	one.bye()
	p.publish("jobs/1", "a", 1)
	p.publish("jobs/1", "b", 1)
	same(t, "whoever is there", two.receive(2), "jobs/1 a 1", "jobs/1 b 1")
}

// TestSessionsEnd: a client that stays away for too long is forgotten.
func TestSessionsEnd(t *testing.T) {
	r := start(t, stored(t), func(o *broker.Options) { o.Limits.Away = time.Hour })
	c := r.lasting("a")
	c.subscribe(1, 1, "#")
	c.bye()
	r.Sweep(time.Now().Unix() + 3500)
	if st := r.Stats(); st.Sessions != 1 || st.Filters != 1 {
		t.Errorf("after 58 minutes: %+v", st)
	}
	r.Sweep(time.Now().Unix() + 3700)
	if st := r.Stats(); st.Sessions != 0 || st.Filters != 0 {
		t.Errorf("after 62 minutes: %+v", st)
	}
	r.stop()
	r.begin()
	if _, present := r.connect("a", false); present {
		t.Error("the session is back after a restart")
	}
}

// TestOthersSession: a client id is not enough to get somebody's messages.
func TestOthersSession(t *testing.T) {
	r := start(t)
	name := func(user string) func(*packets.ConnectPacket) {
		return func(p *packets.ConnectPacket) { p.UsernameFlag, p.Username = true, user }
	}
	c, _ := r.connect("a", false, name("one"))
	c.subscribe(1, 1, "#")
	c.bye()
	if _, present := r.connect("a", false, name("two")); present {
		t.Error("another user got the session")
	}
}

// TestMalformedPackets: whoever sends nonsense loses its connection, and
// nobody else's.
func TestMalformedPackets(t *testing.T) {
	r := start(t)
	other, _ := r.connect("other", true)
	for name, bytes := range map[string]string{
		"SUBSCRIBE without options":   "\x82\x05\x00\x01\x00\x01a",
		"SUBSCRIBE without filters":   "\x82\x02\x00\x01",
		"SUBSCRIBE with flags":        "\x80\x06\x00\x01\x00\x01a\x00",
		"SUBSCRIBE with QoS 3":        "\x82\x06\x00\x01\x00\x01a\x03",
		"PUBLISH with QoS 3":          "\x36\x05\x00\x01a\x00\x01",
		"PUBLISH without id":          "\x32\x05\x00\x01a\x00\x00",
		"PUBLISH to a wildcard":       "\x30\x03\x00\x01#",
		"PUBLISH with a zero byte":    "\x30\x04\x00\x02a\x00",
		"PUBLISH with bad UTF-8":      "\x30\x04\x00\x02a\xff",
		"PUBLISH shorter than it is":  "\x30\x02\x00\x05",
		"PUBACK without id":           "\x40\x01\x00",
		"length without end":          "\x30\xff\xff\xff\xff\x01",
		"a packet of a broker":        "\x20\x02\x00\x00",
		"AUTH before MQTT 5":          "\xf0\x00",
		"UNSUBSCRIBE without filters": "\xa2\x02\x00\x01",
	} {
		p, _ := r.connect("bad", true)
		if _, err := p.Write([]byte(bytes)); err != nil {
			t.Fatal(err)
		}
		p.closed(name)
	}
	other.silent("the others are well")
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		wide, narrow string
		want         bool
	}{
		{"#", "a/b", true},
		{"#", "$SYS/#", false},
		{"a/+", "a/b", true},
		{"a/+", "a/+", true},
		{"a/+", "a/#", false},
		{"a/#", "a", true},
		{"a/#", "a/+/c", true},
		{"a/b", "a/+", false},
		{"+", "a/b", false},
	} {
		if got := broker.Covers(tt.wide, tt.narrow); got != tt.want {
			t.Errorf("Covers(%q, %q) = %v", tt.wide, tt.narrow, got)
		}
	}
}

// FuzzCovers: what a wide filter covers, it matches.
func FuzzCovers(f *testing.F) {
	f.Add("a/#", "a/+/c", "a/b/c")
	f.Fuzz(func(t *testing.T, wide, narrow, topic string) {
		for _, filter := range []string{wide, narrow} {
			if agent.CheckFilter(filter) != nil {
				return
			}
		}
		if agent.CheckTopic(topic) == nil && broker.Covers(wide, narrow) && agent.MatchTopic(narrow, topic) && !agent.MatchTopic(wide, topic) {
			t.Errorf("%q covers %q, but does not match %q", wide, narrow, topic)
		}
	})
}
