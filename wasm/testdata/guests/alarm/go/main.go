// Alarm asks central for help when a sensor's temp is above the threshold.
package main

import (
	"errors"
	"strconv"

	skerry "github.com/skerry-edge/skerry/wasm/guest/go"
)

var (
	threshold float64
	limit     string
	out       []byte          // these two are used again by the next event
	member    [3]skerry.Value // sensor, line and temp
)

func init() {
	skerry.Start(start)
	skerry.Handle(handle)
}

func main() {}

func start() (err error) {
	limit = skerry.Config("threshold")
	if threshold, err = strconv.ParseFloat(limit, 64); err != nil {
		return errors.New("threshold is not a number; set it in the function's env")
	}
	return nil
}

func handle(ev *skerry.Event) error {
	skerry.JSON(ev.Data()).Members(member[:], "sensor", "line", "temp")
	sensor, line, temp := member[0], member[1], member[2]
	t, err := temp.Float()
	if err != nil {
		return skerry.Reject("the event has no number temp")
	}
	if t <= threshold {
		return nil
	}
	out = append(out[:0], `{"alarm":"hot","sensor":`...)
	out = append(out, sensor.Raw()...)
	out = append(append(out, `,"line":`...), line.Raw()...)
	out = append(append(out, `,"temp":`...), temp.Raw()...)
	out = append(append(out, `,"limit":`...), limit...)
	return skerry.Followup("central", "application/json", append(out, '}'))
}
