package sensors_test

import (
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

// The agent is a client of its own broker without an account there, and nobody
// else is by its name.
func TestWithin(t *testing.T) {
	src, err := sensors.NewBroker(sensors.BrokerOptions{
		Name: "local", Device: "gw7", Listen: "127.0.0.1:0", Log: quiet(), Users: []sensors.User{{Name: "u", Password: "p", Publish: []string{"none"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := sensors.NewMQTT(src.Within(sensors.MQTTOptions{
		Name: "fleet", Device: "gw7", Clean: true, Log: quiet(), Will: &sensors.Will{Topic: "online", Payload: "0", Retain: true},
	}))
	if err != nil {
		t.Fatal(err)
	}
	m.Follow([]agent.Trigger{{Via: "fleet", Filter: "hint", QoS: 1}})
	s := &sink{keep: true}
	stop := start(t, m, s) // before there is a broker
	start(t, src, &sink{keep: true})
	if err := m.Connected(t.Context()); err != nil {
		testbed.Eventually(t, patience, "connected", func() error { return m.Connected(t.Context()) })
	}
	subscribed(t, m, "hint")
	errs := m.Send(t.Context(), []agent.Record{
		{Event: agent.Event{Subject: "hint", Data: []byte("retained"), QoS: 1}, Retain: true},
		{Event: agent.Event{Subject: "report", Data: make([]byte, 100_000), QoS: 1}},
	})
	if errs[0] != nil || errs[1] != nil {
		t.Fatal(errs)
	}
	if ev := s.wait(t, 1)[0]; string(ev.Data) != "retained" {
		t.Errorf("got %q", ev.Data)
	}
	stop()
	for _, password := range []string{"", "p"} {
		thief := newMQTT(t, "tcp://"+src.Addr(), func(o *sensors.MQTTOptions) { o.Username, o.Password = "skerry/agent", password })
		start(t, thief, &sink{})
		noted(t, thief, "refused", func(note string) bool { return len(note) > 0 && !thief.Status().Connected })
	}
}
