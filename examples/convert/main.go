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
	fahrenheit, ok := skerry.Number(ev.Data(), "fahrenheit")
	if !ok {
		return skerry.Reject(`the event has no number "fahrenheit"`)
	}
	out := []byte(`{"celsius":`)
	out = strconv.AppendFloat(out, (fahrenheit-32)*5/9, 'f', 2, 64)
	if id, ok := skerry.Field(ev.Data(), "id"); ok {
		out = append(out, `,"id":"`...)
		out = append(append(out, id...), '"')
	}
	return skerry.Result(append(out, '}'))
}
