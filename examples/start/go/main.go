// Alarm sends one alarm when a sensor is at LIMIT or above, and is silent until
// the sensor has been below LIMIT again.
package main

import (
	"errors"
	"strconv"
	"strings"

	skerry "github.com/skerry-edge/skerry/wasm/guest/go"
)

var limit = 80.0

func init() {
	skerry.Start(start)
	skerry.Handle(handle)
}

func main() {} // never called: the handler is

// start runs once, before the first event.
func start() error {
	text, ok := skerry.LookupConfig("LIMIT")
	if !ok {
		return nil
	}
	var err error
	if limit, err = strconv.ParseFloat(text, 64); err != nil {
		return errors.New("LIMIT is not a number; set it in the function's env")
	}
	return nil
}

// handle runs for each event. What it decides takes effect when it returns nil,
// all of it, and none of it otherwise.
func handle(ev *skerry.Event) error {
	temperature, err := skerry.JSON(ev.Data(), "temperature").Float()
	if err != nil {
		return skerry.Reject(`the event has no number "temperature"`)
	}
	levels := strings.Split(ev.Subject(), "/") // sensors/<sensor>/temperature
	if len(levels) != 3 {
		return skerry.Reject("the topic is not sensors/<sensor>/temperature")
	}
	sensor := levels[1]

	key := "hot/" + sensor
	_, err = skerry.Get(key)
	if err != nil && !errors.Is(err, skerry.ErrNotFound) {
		return err
	}
	hot := err == nil
	if (temperature >= limit) == hot {
		return nil // nothing new
	}
	if hot {
		skerry.Log(skerry.Info, sensor+" has cooled down")
		return skerry.Delete(key)
	}
	skerry.Log(skerry.Warn, sensor+" is too hot")
	return errors.Join(
		skerry.Set(key, []byte("1"), 0),                          // the state, kept for the next event
		skerry.Publish("alarms/"+sensor, ev.Data(), skerry.QoS1), // to the broker here
		skerry.Followup("alarms", "application/json", ev.Data()), // to the cloud, as soon as there is a link
	)
}
