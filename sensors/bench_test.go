package sensors_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

// BenchmarkMQTT is the way of a message through mosquitto into the agent.
func BenchmarkMQTT(b *testing.B) {
	for qos := range byte(2) {
		b.Run(fmt.Sprintf("qos%d", qos), func(b *testing.B) {
			broker := testbed.StartMosquitto(b, testbed.MosquittoOptions{Config: "max_inflight_messages 1000\n"})
			src, err := sensors.NewMQTT(sensors.MQTTOptions{Name: "plant", Device: "gw7", URL: broker.URL, Log: quiet()})
			if err != nil {
				b.Fatal(err)
			}
			src.Follow([]agent.Trigger{{Via: "plant", Filter: "a/#", QoS: qos}})
			var seen atomic.Int64
			ended := make(chan error, 1)
			go func() {
				ended <- src.Run(b.Context(), func(_ *agent.Event, done func(error)) {
					seen.Add(1)
					if done != nil {
						done(nil)
					}
				})
			}()
			b.Cleanup(func() { <-ended })
			testbed.Eventually(b, 10*time.Second, "subscribed", func() error {
				if len(src.Status().Filters) == 0 {
					return fmt.Errorf("status %+v", src.Status())
				}
				return nil
			})
			pub := paho.NewClient(paho.NewClientOptions().AddBroker(broker.URL))
			if token := pub.Connect(); token.Wait() && token.Error() != nil {
				b.Fatal(token.Error())
			}
			b.Cleanup(func() { pub.Disconnect(50) })
			data := make([]byte, 120)
			sent, before := int64(0), cpu()
			for b.Loop() {
				pub.Publish("a/1", qos, false, data)
				if sent++; sent-seen.Load() > 500 {
					testbed.Eventually(b, time.Minute, "events", func() error {
						if sent-seen.Load() > 250 {
							return fmt.Errorf("%d of %d", seen.Load(), sent)
						}
						return nil
					})
				}
			}
			b.ReportMetric(float64(cpu()-before)/float64(sent), "cpu-ns/op")
		})
	}
}
