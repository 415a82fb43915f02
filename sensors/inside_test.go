package sensors_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

// insidePlace is an agent that something happens to.
func insidePlace(*testing.T) *place {
	var now *sensors.Inside
	return &place{
		open: func() (conforming, error) {
			now = sensors.NewInside("gw7", quiet())
			return now, nil
		},
		triggers: []agent.Trigger{{Name: "app/link", Via: agent.ViaInside, Filter: "link/+/down"}},
		happen: func(texts ...string) {
			for _, text := range texts {
				now.Tell("link/plant/down", json.RawMessage(`"`+text+`"`))
			}
		},
		says: func(text string) string { return `"` + text + `"` },
		looks: agent.Event{
			Source: "/gw7/agent", Type: "io.skerry.inside", Subject: "link/plant/down",
			ContentType: "application/json", Via: agent.ViaInside, QoS: 1,
		},
		bound: 64,
	}
}

// TestInsideDropsTheOldest tells more than anybody takes, and what nobody wants.
func TestInsideDropsTheOldest(t *testing.T) {
	src, s := sensors.NewInside("gw7", quiet()), &sink{keep: true}
	src.Follow([]agent.Trigger{{Name: "app/link", Via: agent.ViaInside, Filter: "link/#"}})
	for i := range 300 {
		src.Tell(fmt.Sprintf("link/%d/up", i), map[string]int{"n": i})
	}
	start(t, src, s)
	s.wait(t, 256)
	src.Tell("disk/low", nil)
	src.Tell("link/unsaid/down", func() {}) // no JSON
	src.Tell("link/last/down", nil)
	got := s.wait(t, 257)
	if got[0].Subject != "link/44/up" || string(got[0].Data) != `{"n":44}` || got[256].Subject != "link/last/down" {
		t.Errorf("first %s %s, last %s", got[0].Subject, got[0].Data, got[256].Subject)
	}
	idle(t, src)
	if note := src.Status().Note; !strings.HasPrefix(note, "44 events dropped") {
		t.Errorf("note %q", note)
	}
}

// TestLinkIsTold starts while the broker is away, and loses it later.
func TestLinkIsTold(t *testing.T) {
	port := testbed.FreePort(t)
	told := make(chan string, 10)
	src := newMQTT(t, "tcp://"+testbed.Addr(port), func(o *sensors.MQTTOptions) {
		o.Linked = func(why error) {
			if why == nil {
				told <- "up"
			} else {
				told <- "down: " + why.Error()
			}
		}
	})
	stop := start(t, src, &sink{})
	if why := receive(t, told); !strings.HasPrefix(why, "down: ") || !strings.Contains(why, "connection refused") {
		t.Errorf("told %q while the broker is away", why)
	}
	noted(t, src, "a second try", func(note string) bool { return strings.Contains(note, "connection refused") })
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{Port: port})
	if why := receive(t, told); why != "up" {
		t.Errorf("told %q once there is a connection", why)
	}
	broker.Kill()
	if why := receive(t, told); !strings.HasPrefix(why, "down: ") {
		t.Errorf("told %q when the broker is gone", why)
	}
	stop()
	if len(told) > 0 {
		t.Errorf("told %q too", <-told)
	}
}
