package main

import (
	"context"
	"encoding/json"
	"fmt"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// alarmTopic is where both peers publish.
const alarmTopic = "alarms/temperature"

// reading is a sensor's event; alarm is what it may lead to.
type reading struct {
	ID          string  `json:"id"`
	Seq         int64   `json:"seq"`
	TS          int64   `json:"ts"`
	Temperature float64 `json:"temperature"`
}

type alarm struct {
	Alarm string `json:"alarm"`
	reading
}

// runBare is what an engineer would write by hand: subscribe, parse, compare,
// publish. It keeps nothing and waits for nobody.
func runBare(ctx context.Context, addr string, qos byte) error {
	opts := paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("bare").SetAutoReconnect(false)
	opts.SetDefaultPublishHandler(func(c paho.Client, m paho.Message) {
		var r reading
		if json.Unmarshal(m.Payload(), &r) != nil || r.Temperature <= 80 {
			return
		}
		out, err := json.Marshal(alarm{"high", r})
		if err == nil {
			c.Publish(alarmTopic, qos, false, out)
		}
	})
	c := paho.NewClient(opts)
	if tok := c.Connect(); tok.Wait() && tok.Error() != nil {
		return fmt.Errorf("connect: %w", tok.Error())
	}
	if tok := c.Subscribe("sensors/+/temperature", qos, nil); tok.Wait() && tok.Error() != nil {
		return fmt.Errorf("subscribe: %w", tok.Error())
	}
	<-ctx.Done()
	c.Disconnect(100)
	return nil
}
