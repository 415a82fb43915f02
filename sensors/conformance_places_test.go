package sensors_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
	"github.com/skerry-edge/skerry/sensors/broker"
)

var looksOfMQTT = agent.Event{
	Source: "/gw7/mqtt/plant", Type: "io.skerry.mqtt", Subject: "a/1",
	ContentType: "application/octet-stream", Via: "plant", QoS: 1,
}

// mqttPlace is a mosquitto behind a wire that can be cut.
func mqttPlace(t *testing.T) *place {
	mosquitto := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	wire, kept := newWire(t, mosquitto.Port), &notes{}
	c := client(t, mosquitto.URL)
	return &place{
		open: func() (conforming, error) {
			return sensors.NewMQTT(sensors.MQTTOptions{
				Name: "plant", Device: "gw7", URL: wire.url(), Notes: kept, Inflight: 10, MaxPacket: 1000, Log: quiet(),
			})
		},
		triggers: triggers("a/1"),
		ready:    func(src conforming) { subscribed(t, src, "a/1") },
		happen: func(texts ...string) {
			for _, text := range texts {
				c.Publish("a/1", 1, false, text).WaitTimeout(patience)
			}
		},
		looks: looksOfMQTT, bound: 10, lasting: true,
		spoil:  func() { publish(t, c, "a/1", 1, strings.Repeat("x", 2000)) },
		spoilt: "1 packet over the size limit dropped",
		cut:    wire.cut,
	}
}

// brokerPlace is a sensor that publishes through a wire that can be cut. It
// connects again when it can, and sends again what was not acknowledged.
func brokerPlace(t *testing.T) *place {
	port := testbed.FreePort(t)
	wire := newWire(t, port)
	sensor := sync.OnceValue(func() paho.Client {
		return client(t, wire.url(), func(o *paho.ClientOptions) {
			o.SetClientID("sensor").SetCleanSession(false).SetStore(paho.NewOrderedMemoryStore())
			o.SetAutoReconnect(true).SetMaxReconnectInterval(100 * time.Millisecond)
		})
	})
	return &place{
		open: func() (conforming, error) {
			return sensors.NewBroker(sensors.BrokerOptions{
				Name: "plant", Device: "gw7", Listen: testbed.Addr(port), Anonymous: true, Log: quiet(),
				Limits: broker.Limits{Inflight: 10, Packet: 1000},
			})
		},
		triggers: triggers("a/1"),
		happen: func(texts ...string) {
			for _, text := range texts {
				sensor().Publish("a/1", 1, false, text)
			}
		},
		looks: looksOfMQTT, bound: 10, lasting: true,
		cut: wire.cut,
	}
}
