// Alarm asks central for help when a sensor's temp is above the threshold. This
// one reads and writes JSON with encoding/json.
package main

import (
	"encoding/json"
	"errors"
	"strconv"

	skerry "github.com/skerry-edge/skerry/wasm/guest/go"
)

type reading struct {
	Sensor string   `json:"sensor"`
	Line   int      `json:"line"`
	Temp   *float64 `json:"temp"`
}

type alarm struct {
	Alarm  string  `json:"alarm"`
	Sensor string  `json:"sensor"`
	Line   int     `json:"line"`
	Temp   float64 `json:"temp"`
	Limit  float64 `json:"limit"`
}

var threshold float64

func init() {
	skerry.Start(start)
	skerry.Handle(handle)
}

func main() {}

func start() (err error) {
	if threshold, err = strconv.ParseFloat(skerry.Config("threshold"), 64); err != nil {
		return errors.New("threshold is not a number; set it in the function's env")
	}
	return nil
}

func handle(ev *skerry.Event) error {
	var r reading
	if err := json.Unmarshal(ev.Data(), &r); err != nil || r.Temp == nil {
		return skerry.Reject("the event has no number temp")
	}
	if *r.Temp <= threshold {
		return nil
	}
	out, err := json.Marshal(alarm{"hot", r.Sensor, r.Line, *r.Temp, threshold})
	if err != nil {
		return err
	}
	return skerry.Followup("central", "application/json", out)
}
