// Convert makes one kind of reading of the kinds that vendors send: one name for each
// quantity, one unit, a number. It only sets its result: the trigger's "then" says
// where that goes.
package main

import (
	"errors"
	"math"
	"strconv"
	"strings"

	skerry "github.com/skerry-edge/skerry/wasm/guest/go"
)

// Field is a member that a vendor has, and what it means: the quantity is
// value x factor + offset, in our unit. Add yours here.
type field struct {
	name, quantity string
	factor, offset float64
}

var fields = []field{
	{"celsius", "temperature_C", 1, 0},
	{"fahrenheit", "temperature_C", 5.0 / 9, -32 * 5.0 / 9},
	{"kelvin", "temperature_C", 1, -273.15},
	{"tC", "temperature_C", 1, 0},
	{"tF", "temperature_C", 5.0 / 9, -32 * 5.0 / 9},
	{"temp_x10", "temperature_C", 0.1, 0}, // tenths of a degree, as small radios send them
	{"humidity", "humidity_pct", 1, 0},
	{"rh", "humidity_pct", 1, 0},
	{"bar", "pressure_kPa", 100, 0},
	{"psi", "pressure_kPa", 6.894757, 0},
	{"hPa", "pressure_kPa", 0.1, 0},
	{"l_min", "flow_l_min", 1, 0},
	{"gpm", "flow_l_min", 3.785412, 0}, // US gallons
	{"m3_h", "flow_l_min", 1000.0 / 60, 0},
	{"battery_mV", "battery_V", 0.001, 0},
	{"vbat", "battery_V", 1, 0},
}

// Units are what a member "unit" beside a "value" may say, and the field it is like.
var units = map[string]string{
	"c": "celsius", "°c": "celsius", "f": "fahrenheit", "°f": "fahrenheit", "k": "kelvin",
	"%": "humidity", "%rh": "humidity", "bar": "bar", "psi": "psi", "hpa": "hPa", "mbar": "hPa",
	"l/min": "l_min", "gpm": "gpm", "m3/h": "m3_h", "m³/h": "m3_h", "mv": "battery_mV", "v": "vbat",
}

// Likely is what our quantities can be. What lies outside is a sensor that fails (some
// say -127 degrees, -999 or 32767 instead of an error) or a wrong unit.
var likely = map[string][2]float64{
	"temperature_C": {-60, 600}, "humidity_pct": {0, 100}, "pressure_kPa": {0, 60000},
	"flow_l_min": {0, 100000}, "battery_V": {0.5, 60},
}

func init() { skerry.Handle(handle) }

func main() {} // never called: the handler is

func handle(ev *skerry.Event) error {
	values := make([]skerry.Value, len(names))
	doc := skerry.JSON(ev.Data())
	doc.Members(values, names...)
	if errors.Is(doc.Err(), skerry.ErrInvalid) {
		return skerry.Reject("the event is not JSON: " + doc.Err().Error())
	}
	out, had := []byte{'{'}, map[string]bool{}
	for i, f := range fields {
		out = add(out, f, values[i], had)
	}
	if unit, err := values[unitAt].Text(); err == nil {
		if f, known := fieldOf(unit); known {
			out = add(out, f, values[valueAt], had)
		} else {
			skerry.Log(skerry.Warn, "the unit "+strconv.Quote(unit)+" is not known")
		}
	}
	if len(had) == 0 {
		return skerry.Reject("the event has no reading that is known, or none that can be")
	}
	for _, name := range []string{"id", "ts", "seq"} { // go through as they are
		if raw := doc.Get(name).Raw(); raw != nil {
			out = append(append(append(append(out, ',', '"'), name...), '"', ':'), raw...)
		}
	}
	return skerry.Result(append(out, '}'))
}

// names are the members to look for: those of fields, then "value" and "unit".
var names = func() (all []string) {
	for _, f := range fields {
		all = append(all, f.name)
	}
	return append(all, "value", "unit")
}()

var valueAt, unitAt = len(fields), len(fields) + 1

func fieldOf(unit string) (field, bool) {
	name := units[strings.ToLower(strings.TrimSpace(unit))]
	for _, f := range fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// add appends a quantity, once, if the value is there and can be.
func add(out []byte, f field, v skerry.Value, had map[string]bool) []byte {
	if v.Raw() == nil || v.IsNull() || had[f.quantity] {
		return out
	}
	n, ok := number(v)
	n = n*f.factor + f.offset
	if bounds := likely[f.quantity]; !ok || math.IsNaN(n) || n < bounds[0] || n > bounds[1] {
		skerry.Log(skerry.Warn, f.name+" is left out: "+string(v.Raw()[:min(len(v.Raw()), 40)]))
		return out
	}
	if len(had) > 0 {
		out = append(out, ',')
	}
	had[f.quantity] = true
	out = append(append(append(out, '"'), f.quantity...), '"', ':')
	return strconv.AppendFloat(out, math.Round(n*100)/100+0, 'f', -1, 64) // + 0 makes 0 of -0
}

// number reads a number, also as text: "21.5", "21,5", "21.5 °C".
func number(v skerry.Value) (float64, bool) {
	if n, err := v.Float(); err == nil {
		return n, true
	}
	text, err := v.Text()
	if err != nil {
		return 0, false
	}
	text, _, _ = strings.Cut(strings.TrimSpace(text), " ")
	n, err := strconv.ParseFloat(strings.Replace(text, ",", ".", 1), 64)
	return n, err == nil
}
