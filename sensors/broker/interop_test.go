package broker_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/skerry-edge/skerry/sensors/broker"
)

// TestInteroperability has the cases of the MQTT 3.1.1 part of Eclipse Paho's
// interoperability suite (client_test.py), written anew.
func TestInteroperability(t *testing.T) {
	for name, test := range map[string]func(*testing.T, *rig){
		"basic":                     basic,
		"retained messages":         retainedMessages,
		"offline message queueing":  offlineQueueing,
		"will message":              willMessage,
		"overlapping subscriptions": overlapping,
		"keepalive":                 keepAlive,
		"redelivery on reconnect":   redelivery,
		"$ topics":                  dollarTopics,
		"zero length client id":     zeroLengthID,
		"unsubscribe":               unsubscribe,
		"subscribe failure":         subscribeFailure,
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("in memory", func(t *testing.T) { test(t, start(t)) })
			t.Run("on disk", func(t *testing.T) { test(t, start(t, stored(t))) })
		})
	}
}

func basic(t *testing.T, r *rig) {
	c, present := r.connect("a", true)
	if present {
		t.Error("a clean session is there")
	}
	if codes := c.subscribe(1, 2, "TopicA"); codes[0] != 2 {
		t.Errorf("granted %v", codes)
	}
	other, _ := r.connect("b", true)
	for qos := range byte(3) {
		other.publish("TopicA", fmt.Sprint("qos ", qos), qos)
	}
	same(t, "messages", c.receive(3), "TopicA qos 0 0", "TopicA qos 1 1", "TopicA qos 2 2")
	c.bye()

	second := r.dial() // a second CONNECT ends the connection
	second.hello("c", true)
	second.send(packets.NewControlPacket(packets.Connect))
	second.closed("second CONNECT")
	first := r.dial() // so does anything before the first
	first.send(packets.NewControlPacket(packets.Pingreq))
	first.closed("PINGREQ before CONNECT")
}

func retainedMessages(t *testing.T, r *rig) {
	c, _ := r.connect("a", true)
	c.publish("fromb/qos 0", "0", 0, retained)
	c.publish("fromb/qos 1", "1", 1, retained)
	c.publish("fromb/qos2", "2", 2, retained)
	c.subscribe(1, 2, "+/+")
	got := c.receive(3)
	slices.Sort(got)
	same(t, "retained", got, "fromb/qos 0 0 0 retained", "fromb/qos 1 1 1 retained", "fromb/qos2 2 2 retained")
	for qos, topic := range []string{"fromb/qos 0", "fromb/qos 1", "fromb/qos2"} {
		c.post(7, topic, "", byte(qos), retained) // takes it away
	}
	for range 3 { // and is a message all the same, but not a retained one
		for {
			m, ok := c.read().(*packets.PublishPacket)
			if !ok {
				continue
			}
			if m.Retain || len(m.Payload) > 0 {
				t.Errorf("got %s", told(m))
			}
			break
		}
	}
	other, _ := r.connect("b", true)
	other.subscribe(1, 2, "+/+")
	other.silent("after the retained messages were taken away")
}

func offlineQueueing(t *testing.T, r *rig) {
	c := r.lasting("a")
	c.subscribe(1, 2, "+/+")
	c.bye()
	other, _ := r.connect("b", true)
	for qos := range byte(3) {
		other.publish(fmt.Sprint("TopicA/", qos), fmt.Sprint(qos), qos)
	}
	c, present := r.connect("a", false)
	if !present {
		t.Fatal("the session is gone")
	}
	same(t, "queued", c.receive(2), "TopicA/1 1 1", "TopicA/2 2 2")
	c.silent("after the queue")
}

func willMessage(t *testing.T, r *rig) {
	other, _ := r.connect("b", true)
	other.subscribe(1, 2, "TopicA/C")
	will := func(p *packets.ConnectPacket) {
		p.WillFlag, p.WillQos, p.WillTopic, p.WillMessage = true, 1, "TopicA/C", []byte("client gone")
	}
	c, _ := r.connect("a", true, will)
	c.Close()
	same(t, "will", other.receive(1), "TopicA/C client gone 1")
	c, _ = r.connect("a", true, will)
	c.bye()
	other.silent("after a goodbye")
}

func overlapping(t *testing.T, r *rig) {
	c, _ := r.connect("a", true)
	c.subscribe(1, 2, "TopicA/#")
	c.subscribe(2, 1, "TopicA/+")
	c.publish("TopicA/C", "overlapping", 0)
	same(t, "with the QoS of the message", c.receive(1), "TopicA/C overlapping 0")
	other, _ := r.connect("b", true)
	other.publish("TopicA/C", "overlapping", 2)
	same(t, "once, with the higher QoS", c.receive(1), "TopicA/C overlapping 2")
	c.silent("after one message")
}

func keepAlive(t *testing.T, r *rig) {
	other, _ := r.connect("b", true)
	other.subscribe(1, 2, "TopicA/C")
	began := time.Now()
	r.connect("a", true, func(p *packets.ConnectPacket) {
		p.Keepalive = 1
		p.WillFlag, p.WillQos, p.WillTopic, p.WillMessage = true, 2, "TopicA/C", []byte("keepalive expiry")
	})
	same(t, "will", other.receive(1), "TopicA/C keepalive expiry 2")
	if after := time.Since(began); after < time.Second {
		t.Errorf("ended after %s, the client has 1.5 s", after)
	}
}

func redelivery(t *testing.T, r *rig) {
	c := r.lasting("a")
	c.subscribe(1, 2, "#")
	other, _ := r.connect("b", true)
	other.publish("TopicA/B", "first", 1)
	other.publish("TopicA/3", "second", 2)
	first := []*packets.PublishPacket{expect[*packets.PublishPacket](c), expect[*packets.PublishPacket](c)}
	c.Close()
	r.clients(1)
	other.publish("TopicA/B", "third", 1)
	c = r.lasting("a")
	var second []*packets.PublishPacket
	for i, text := range []string{"TopicA/B first 1 again", "TopicA/3 second 2 again", "TopicA/B third 1"} {
		m := expect[*packets.PublishPacket](c)
		if told(m) != text || i < 2 && m.MessageID != first[i].MessageID {
			t.Errorf("got %s with id %d, want %s", told(m), m.MessageID, text)
		}
		second = append(second, m)
	}
	for _, m := range second {
		c.acknowledge(m)
	}
	c.complete(expect[*packets.PubrelPacket](c).MessageID)
	c.silent("everything is acknowledged")
	c.bye()
	c = r.lasting("a")
	c.silent("everything was acknowledged before")
}

func dollarTopics(t *testing.T, r *rig) {
	c, _ := r.connect("a", true)
	c.subscribe(1, 2, "+/C", "#")
	c.publish("$TopicA/C", "", 0)
	r.Publish(&broker.Message{Topic: "$SYS/uptime", Data: []byte("1")}, nil)
	c.silent("wildcards do not match topics with $")
	c.subscribe(2, 2, "$SYS/#")
	r.Publish(&broker.Message{Topic: "$SYS/uptime", Data: []byte("2")}, nil)
	same(t, "asked for", c.receive(1), "$SYS/uptime 2 0")
}

func zeroLengthID(t *testing.T, r *rig) {
	r.connect("", true)
	r.connect("", true) // another client
	if n := r.Stats().Sessions; n != 2 {
		t.Errorf("%d sessions", n)
	}
	p := r.dial()
	if ack := p.hello("", false); ack.ReturnCode != 2 {
		t.Errorf("answered with %d, want identifier rejected", ack.ReturnCode)
	}
	p.closed("a lasting session needs an id")
}

func unsubscribe(t *testing.T, r *rig) {
	c, _ := r.connect("a", true)
	c.subscribe(1, 2, "TopicA")
	c.subscribe(2, 2, "TopicA/B")
	c.subscribe(3, 2, "Topic/C")
	u := packets.NewControlPacket(packets.Unsubscribe).(*packets.UnsubscribePacket)
	u.MessageID, u.Topics = 4, []string{"TopicA", "nothing"}
	c.send(u)
	if ack := expect[*packets.UnsubackPacket](c); ack.MessageID != 4 {
		t.Errorf("UNSUBACK for %d", ack.MessageID)
	}
	other, _ := r.connect("b", true)
	for _, topic := range []string{"TopicA", "TopicA/B", "Topic/C"} {
		other.publish(topic, "x", 1)
	}
	same(t, "the other two", c.receive(2), "TopicA/B x 1", "Topic/C x 1")
}

func subscribeFailure(t *testing.T, r *rig) {
	r.stop()
	r.opts.Login = func(broker.Login) (broker.Rights, bool) {
		return broker.Rights{Subscribe: []string{"test/+"}}, true
	}
	r.begin()
	c, _ := r.connect("a", true)
	codes := c.subscribe(1, 2, "test/nosubscribe", "test/nosubscribe/at/all", "#", "a/#/b", "$share/x")
	if want := []byte{2, 0x80, 0x80, 0x80, 0x80}; !slices.Equal(codes, want) {
		t.Errorf("granted %v, want %v", codes, want)
	}
}
