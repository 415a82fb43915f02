package main

import (
	"encoding/json"
	"errors"

	skerry "github.com/skerry-edge/skerry/wasm/guest/go"
)

// What the alarms decide when they are no guests: kept where the compiler
// cannot see that nobody reads it.
var decided []byte

var errCool = errors.New("no alarm")

// alarmSmall is the alarm with the small reader of the Go guest kit.
func alarmSmall(event []byte) error {
	doc := skerry.JSON(event)
	temp := doc.Get("temp")
	if temp.Err() != nil {
		temp = doc.Get("temperature")
	}
	if t, err := temp.Float(); err != nil || t <= 30 {
		return errCool
	}
	out := append(decided[:0], `{"alarm":"hot","sensor":`...)
	out = append(out, doc.Get("sensor").Raw()...)
	out = append(append(out, `,"line":`...), doc.Get("line").Raw()...)
	out = append(append(out, `,"temp":`...), temp.Raw()...)
	decided = append(out, `,"limit":30}`...)
	return nil
}

// alarmJSON is the alarm with encoding/json.
func alarmJSON(event []byte) error {
	var in struct {
		Sensor string
		Line   int
		Temp   *float64
	}
	if err := json.Unmarshal(event, &in); err != nil || in.Temp == nil || *in.Temp <= 30 {
		return errors.Join(errCool, err)
	}
	out, err := json.Marshal(struct {
		Alarm  string  `json:"alarm"`
		Sensor string  `json:"sensor"`
		Line   int     `json:"line"`
		Temp   float64 `json:"temp"`
		Limit  float64 `json:"limit"`
	}{"hot", in.Sensor, in.Line, *in.Temp, 30})
	decided = append(decided[:0], out...)
	return err
}
