package sensors_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

func TestDelivery(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	src := newMQTT(t, broker.URL)
	src.Follow([]agent.Trigger{
		{Name: "a/levels", Via: "plant", Filter: "site/+/temp", QoS: 1},
		{Name: "a/narrow", Via: "plant", Filter: "site/7/temp", QoS: 1},
		{Name: "a/all", Via: "plant", Filter: "log/#", QoS: 0},
		{Name: "a/shared", Via: "plant", Filter: "jobs/+", Share: "workers", QoS: 1},
		{Name: "a/other", Via: "elsewhere", Filter: "other/#", QoS: 1},
	})
	s := &sink{keep: true}
	start(t, src, s)
	subscribed(t, src, "$share/workers/jobs/+", "log/#", "site/+/temp")

	c := client(t, broker.URL)
	for _, tt := range []struct {
		topic, data string
		qos, want   byte
		contentType string
	}{
		{"site/7/temp", `{"t":21}`, 1, 1, "application/json"},
		{"site/8/temp", "21", 0, 0, "application/octet-stream"},
		{"site/9/temp", "[1]", 2, 1, "application/json"},
		{"log/a/b/c", "{\xff}", 1, 0, "application/octet-stream"},
		{"log", "", 0, 0, "application/octet-stream"},
		{"jobs/1", "{}", 1, 1, "application/json"},
	} {
		n := len(s.offers())
		publish(t, c, tt.topic, tt.qos, tt.data)
		ev := s.wait(t, n+1)[n]
		if ev.Subject != tt.topic || string(ev.Data) != tt.data || ev.QoS != tt.want || ev.ContentType != tt.contentType {
			t.Errorf("published %+v, got %+v", tt, ev.Event)
		}
		if ev.Source != "/gw7/mqtt/plant" || ev.Type != "io.skerry.mqtt" || ev.Via != "plant" || ev.ID != "" {
			t.Errorf("event %+v has wrong attributes", ev.Event)
		}
		if identified := ev.Origin.Slot != ""; identified != (tt.want == 1) || ev.Origin.Redelivered {
			t.Errorf("%s with QoS %d has origin %+v", tt.topic, tt.want, ev.Origin)
		}
		if waits := ev.done != nil; waits != (tt.want == 1) {
			t.Errorf("%s with QoS %d: somebody waits: %v", tt.topic, tt.want, waits)
		}
	}
	publish(t, c, "other/1", 1, "not ours")
	publish(t, c, "log/end", 1, "end")
	if got := s.wait(t, 7)[6]; got.Subject != "log/end" {
		t.Errorf("got %s, which no trigger of this source wants", got.Subject)
	}
}

// TestAcknowledgedInOrder shows that an acknowledgement leaves only after
// done(nil) of its own and all earlier events, and how mosquitto marks what it
// sends again after a crash of the client.
func TestAcknowledgedInOrder(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	line := newWire(t, broker.Port)
	src := newMQTT(t, line.url())
	src.Follow(triggers("a/#"))
	s := &sink{}
	start(t, src, s)
	subscribed(t, src, "a/#")
	publish(t, client(t, broker.URL), "a/1", 1, "1", "2", "3", "4", "5")

	first := s.wait(t, 5)
	for _, i := range []int{1, 3, 0} {
		first[i].done(nil) // 1, 2 and 4
	}
	testbed.Eventually(t, patience, "1 and 2 acknowledged", func() error {
		if n := src.Status().Inflight; n != 3 {
			return fmt.Errorf("%d in flight", n)
		}
		return nil
	})
	// A QoS 0 publish behind the acknowledgements shows that they have arrived.
	if err := src.Publish("a/1", []byte("behind"), 0, false); err != nil {
		t.Fatal(err)
	}
	s.wait(t, 6)
	line.cut()
	again := s.wait(t, 9)[6:]
	checkRedelivered(t, first[2:5], again)
	for _, o := range again {
		o.done(nil)
	}
	for _, o := range first[2:5] {
		if o.Data[0] != '4' {
			o.done(errors.New("too late")) // of an old connection: nothing happens
		}
	}
	idle(t, src)
}

// checkRedelivered compares two deliveries of the same messages.
func checkRedelivered(t *testing.T, first, again []offer) {
	t.Helper()
	if len(first) != len(again) {
		t.Fatalf("%d came again, want %d", len(again), len(first))
	}
	for i, o := range again {
		t.Logf("%q: first %+v, again %+v", o.Data, first[i].Origin, o.Origin)
		want := first[i].Origin
		want.Redelivered = true
		if string(o.Data) != string(first[i].Data) || o.Origin != want {
			t.Errorf("%q with %+v came again as %q with %+v", first[i].Data, first[i].Origin, o.Data, o.Origin)
		}
	}
}

func TestRedeliveryAfterBrokerRestart(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{Persist: true})
	src := newMQTT(t, broker.URL)
	src.Follow(triggers("a/#"))
	s := &sink{}
	start(t, src, s)
	subscribed(t, src, "a/#")
	publish(t, client(t, broker.URL), "a/1", 1, "1", "2", "3")
	first := s.wait(t, 3)
	broker.Stop()
	broker.Restart()
	again := s.wait(t, 6)[3:]
	checkRedelivered(t, first, again)
	for _, o := range again {
		o.done(nil)
	}
	idle(t, src)
}

func TestBrokerRestarts(t *testing.T) {
	for _, tt := range []struct {
		name string
		keep bool
	}{{"session kept", true}, {"session lost", false}} {
		t.Run(tt.name, func(t *testing.T) {
			broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{Persist: tt.keep})
			src := newMQTT(t, broker.URL)
			src.Follow(triggers("a/#", "b/+"))
			s := &sink{keep: true}
			start(t, src, s)
			subscribed(t, src, "a/#", "b/+")
			c := client(t, broker.URL)
			for i := range 200 {
				c.Publish("a/1", 1, false, fmt.Sprint("before ", i)) // in mid-stream
			}
			if tt.keep {
				broker.Stop()
			} else {
				broker.Kill()
				disconnected(t, src)
			}
			broker.Restart()
			if !tt.keep { // the broker has to know of the subscriptions before it can queue
				subscribed(t, src, "a/#", "b/+")
			}
			var want []string
			for i := range 200 {
				want = append(want, fmt.Sprint("after ", i))
			}
			publish(t, client(t, broker.URL), "b/1", 1, want...)
			testbed.Eventually(t, patience, "everything published after the restart", func() error {
				got := s.texts(0)
				for _, w := range want {
					if !slices.Contains(got, w) {
						return fmt.Errorf("%q is missing", w)
					}
				}
				return nil
			})
			idle(t, src)
		})
	}
}

// disconnected waits until the source has noticed the loss.
func disconnected(t *testing.T, src *sensors.MQTT) {
	t.Helper()
	testbed.Eventually(t, patience, "loss noticed", func() error {
		if src.Status().Connected {
			return errors.New("connected")
		}
		return nil
	})
}

// TestOlderSession has the broker lose what it learnt since it last saved.
func TestOlderSession(t *testing.T) {
	dir := t.TempDir()
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{Persist: true, Dir: dir})
	src := newMQTT(t, broker.URL)
	src.Follow(triggers("a/#"))
	s := &sink{keep: true}
	start(t, src, s)
	subscribed(t, src, "a/#")
	broker.Stop() // saved with a/#
	disconnected(t, src)
	broker.Restart()
	subscribed(t, src, "a/#")
	src.Follow(triggers("a/#", "b/#"))
	subscribed(t, src, "a/#", "b/#")
	broker.Kill() // not saved with b/#
	noted(t, src, "refused", func(note string) bool { return strings.Contains(note, "connection refused") })
	broker.Restart()
	subscribed(t, src, "a/#", "b/#")
	publish(t, client(t, broker.URL), "b/1", 1, "not lost")
	s.wait(t, 1)
}

// TestNothingStaysBehind counts goroutines: paho's end only if it is told to.
func TestNothingStaysBehind(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	line := newWire(t, broker.Port)
	before := runtime.NumGoroutine()
	src := newMQTT(t, line.url())
	src.Follow(triggers("a/#"))
	stop := start(t, src, &sink{keep: true})
	subscribed(t, src, "a/#")
	line.cut()
	disconnected(t, src)
	subscribed(t, src, "a/#")
	stop()
	line.cut()
	testbed.Eventually(t, patience, "goroutines end", func() error {
		if n := runtime.NumGoroutine(); n > before {
			buf := make([]byte, 1<<16)
			return fmt.Errorf("%d goroutines, %d before\n%s", n, before, buf[:runtime.Stack(buf, true)])
		}
		return nil
	})
}

func TestRetainedComesOnce(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	client(t, broker.URL).Publish("a/1", 1, true, "kept").WaitTimeout(patience)
	line := newWire(t, broker.Port)
	n := &notes{}
	s := &sink{keep: true}
	src := newMQTT(t, line.url(), func(o *sensors.MQTTOptions) { o.Notes = n })
	src.Follow(triggers("a/#"))
	stop := start(t, src, s)
	if ev := s.wait(t, 1)[0]; !ev.Retained || string(ev.Data) != "kept" {
		t.Errorf("got %+v, want the retained message", ev.Event)
	}
	subscribed(t, src, "a/#")
	idle(t, src)

	line.cut()
	disconnected(t, src)
	subscribed(t, src, "a/#")
	publish(t, client(t, broker.URL), "a/2", 1, "after the reconnect")
	s.wait(t, 2)
	stop()

	src = newMQTT(t, line.url(), func(o *sensors.MQTTOptions) { o.Notes = n })
	src.Follow(triggers("a/#"))
	start(t, src, s)
	subscribed(t, src, "a/#")
	publish(t, client(t, broker.URL), "a/2", 1, "after the restart")
	s.wait(t, 3)
	if got, want := s.texts(0), []string{"kept", "after the reconnect", "after the restart"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnwantedFiltersGoAfterRestart(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	n := &notes{}
	s := &sink{keep: true}
	withNotes := func(o *sensors.MQTTOptions) { o.Notes = n }
	src := newMQTT(t, broker.URL, withNotes)
	src.Follow(triggers("a/#", "b/#"))
	stop := start(t, src, s)
	subscribed(t, src, "a/#", "b/#")
	stop()

	src = newMQTT(t, broker.URL, withNotes)
	src.Follow(triggers("b/#", "c/#"))
	start(t, src, s)
	subscribed(t, src, "b/#", "c/#")
	noted(t, src, "settled", func(string) bool { return src.Publish("c/1", []byte("probe"), 0, false) == nil })
	n0 := len(s.wait(t, 1))
	c := client(t, broker.URL)
	publish(t, c, "a/1", 1, "unwanted")
	publish(t, c, "b/1", 1, "wanted")
	s.wait(t, n0+1)
	if got := s.texts(n0); !slices.Equal(got, []string{"wanted"}) {
		t.Errorf("got %q", got)
	}

	src.Follow(triggers("a/#"))
	subscribed(t, src, "a/#")
	publish(t, c, "a/1", 1, "wanted now")
	if got := s.wait(t, n0+2)[n0+1]; string(got.Data) != "wanted now" {
		t.Errorf("got %q", got.Data)
	}
}

func TestFailedEventsAreOfferedAgain(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	src := newMQTT(t, broker.URL)
	src.Follow(triggers("a/#"))
	s := &sink{}
	start(t, src, s)
	subscribed(t, src, "a/#")
	c := client(t, broker.URL)
	publish(t, c, "a/1", 1, "1", "2")
	publish(t, c, "a/2", 1, "other")
	got := s.wait(t, 3)
	got[0].done(errors.New("disk full"))
	got[1].done(errors.New("disk full"))
	got[2].done(nil)
	publish(t, c, "a/1", 1, "3") // waits behind its failed predecessors
	s.wait(t, 6)
	if texts, want := s.texts(3), []string{"1", "2", "3"}; !slices.Equal(texts, want) {
		t.Errorf("offered again: %q, want %q", texts, want)
	}
	for _, o := range s.offers()[3:] {
		o.done(nil)
	}
	idle(t, src)
	if s.offers()[0].Event != s.offers()[3].Event {
		t.Error("the event offered again is not the same")
	}
}

func TestTooManyUnacknowledged(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	src := newMQTT(t, broker.URL, func(o *sensors.MQTTOptions) { o.Inflight = 3 })
	src.Follow(triggers("a/#"))
	s := &sink{}
	start(t, src, s)
	subscribed(t, src, "a/#")
	publish(t, client(t, broker.URL), "a/1", 1, "1", "2", "3", "4", "5")
	s.wait(t, 3)
	noted(t, src, "push-back", func(note string) bool { return strings.Contains(note, "could not keep up") })
	s.mu.Lock()
	s.keep = true
	s.mu.Unlock()
	testbed.Eventually(t, patience, "all five", func() error {
		got := s.texts(3)
		slices.Sort(got)
		if got = slices.Compact(got); len(got) != 5 {
			return fmt.Errorf("got %q", got)
		}
		return nil
	})
}

func TestOversizePacket(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	line := newWire(t, broker.Port)
	src := newMQTT(t, line.url(), func(o *sensors.MQTTOptions) { o.MaxPacket = 1000 })
	src.Follow(triggers("a/#"))
	s := &sink{keep: true}
	start(t, src, s)
	subscribed(t, src, "a/#")
	c := client(t, broker.URL)
	publish(t, c, "a/1", 1, "small", strings.Repeat("x", 3<<20), strings.Repeat("y", 985))
	publish(t, c, "a/1", 0, strings.Repeat("z", 1000), "last")
	s.wait(t, 3)
	if got, want := s.texts(0), []string{"small", strings.Repeat("y", 985), "last"}; !slices.Equal(got, want) {
		t.Errorf("got %d events: %.20q", len(got), got)
	}
	idle(t, src)
	if note := src.Status().Note; !strings.Contains(note, "2 packets over the size limit dropped (3146740 bytes)") {
		t.Errorf("note %q", note)
	}
	line.cut() // had it not been acknowledged, it would come again
	publish(t, c, "a/1", 1, "after")
	s.wait(t, 4)
	if note := src.Status().Note; !strings.Contains(note, "2 packets") {
		t.Errorf("note %q", note)
	}
}

func TestBrokerAwayAtStart(t *testing.T) {
	port := testbed.FreePort(t)
	src := newMQTT(t, "tcp://"+testbed.Addr(port))
	src.Follow(triggers("a/#"))
	s := &sink{keep: true}
	start(t, src, s)
	noted(t, src, "the reason", func(note string) bool { return strings.Contains(note, "connection refused") })
	if err := src.Publish("a/1", nil, 0, false); !errors.Is(err, sensors.ErrNotConnected) {
		t.Errorf("Publish: %v", err)
	}
	if errs := src.Send(context.Background(), make([]agent.Record, 2)); !errors.Is(errs[1], sensors.ErrNotConnected) {
		t.Errorf("Send: %v", errs)
	}
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{Port: port})
	subscribed(t, src, "a/#")
	publish(t, client(t, broker.URL), "a/1", 1, "hello")
	s.wait(t, 1)
}

func TestSend(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	src := newMQTT(t, broker.URL)
	src.Follow(triggers("none"))
	start(t, src, &sink{keep: true})
	subscribed(t, src, "none")
	got := make(chan string, 300)
	c := client(t, broker.URL, func(o *paho.ClientOptions) { o.SetOrderMatters(true) })
	c.Subscribe("out/#", 0, func(_ paho.Client, m paho.Message) { got <- m.Topic() + " " + string(m.Payload()) }).WaitTimeout(patience)
	for qos := range uint8(3) {
		var recs []agent.Record
		for i := range 50 {
			recs = append(recs, agent.Record{Event: agent.Event{Subject: "out/1", Data: fmt.Append(nil, i), QoS: qos}})
		}
		for i, err := range src.Send(t.Context(), recs) {
			if err != nil {
				t.Fatalf("QoS %d, record %d: %v", qos, i, err)
			}
		}
		for i := range recs {
			if line := receive(t, got); line != fmt.Sprintf("out/1 %d", i) {
				t.Fatalf("QoS %d, record %d arrived as %q", qos, i, line)
			}
		}
	}
	errs := src.Send(t.Context(), []agent.Record{{Event: agent.Event{Subject: "out/+"}}, {Event: agent.Event{Subject: "out/2", QoS: 1}}})
	if errs[0] == nil || errs[1] != nil {
		t.Errorf("a wildcard topic between good ones: %v", errs)
	}
	receive(t, got)
	for qos := range uint8(3) {
		if err := src.Publish("out/3", []byte{'0' + qos}, qos, false); err != nil {
			t.Fatal(err)
		}
		if line := receive(t, got); line != fmt.Sprintf("out/3 %d", qos) {
			t.Errorf("got %q", line)
		}
	}
}

func receive(t *testing.T, c <-chan string) string {
	t.Helper()
	select {
	case s := <-c:
		return s
	case <-time.After(patience):
		t.Fatalf("nothing arrived")
		return ""
	}
}
