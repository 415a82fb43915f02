// Convert turns a reading in degrees Fahrenheit into one in degrees Celsius.
// It only sets its result: the trigger's "then" says where that goes.
package main

import (
	"strconv"

	skerry "github.com/skerry-edge/skerry/wasm/guest/go"
)

func init() { skerry.Handle(convert) }

func main() {} // never called: the handler is

func convert(ev *skerry.Event) error {
	doc := skerry.JSON(ev.Data())
	fahrenheit, err := doc.Get("fahrenheit").Float()
	if err != nil {
		return skerry.Reject(`the event has no number "fahrenheit"`)
	}
	out := []byte(`{"celsius":`)
	out = strconv.AppendFloat(out, (fahrenheit-32)*5/9, 'f', 2, 64)
	if id := doc.Get("id").Raw(); id != nil {
		out = append(append(out, `,"id":`...), id...)
	}
	return skerry.Result(append(out, '}'))
}
