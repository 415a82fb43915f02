package skerry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	skerry "github.com/skerry-edge/skerry/wasm/guest/go"
)

func TestJSONFinds(t *testing.T) {
	const doc = ` {"a": -1.5e3 , "b":{"a":2,"c":[ 10, {"d":"]"} ,[]]},
		"e\"":"x", "\u0066":"say \"hi\"","empty":{},"null":null,"yes":true,"no":false,"a":9,"é":[] } `
	for _, tt := range []struct{ path, want string }{
		{"a", "-1.5e3"},
		{"b/a", "2"},
		{"b/c/0", "10"},
		{"b/c/1/d", `"]"`},
		{"b/c/2", "[]"},
		{`e"`, `"x"`},
		{"f", `"say \"hi\""`},
		{"null", "null"},
		{"é", "[]"},
		{"b", `{"a":2,"c":[ 10, {"d":"]"} ,[]]}`},
	} {
		v := skerry.JSON([]byte(doc), strings.Split(tt.path, "/")...)
		if string(v.Raw()) != tt.want || v.Err() != nil {
			t.Errorf("%s = %s, %v; want %s", tt.path, v.Raw(), v.Err(), tt.want)
		}
	}
	for path, is := range map[string]error{
		"c":     skerry.ErrNotFound, // of an inner object only
		"b/c/3": skerry.ErrNotFound, "b/c/-1": skerry.ErrNotFound, "b/c/x": skerry.ErrNotFound, "b/c/2/0": skerry.ErrNotFound,
		"empty/a": skerry.ErrNotFound, "": skerry.ErrNotFound,
		"a/b": skerry.ErrInvalid, "yes/0": skerry.ErrInvalid,
	} {
		if v := skerry.JSON([]byte(doc), strings.Split(path, "/")...); !errors.Is(v.Err(), is) || v.Raw() != nil {
			t.Errorf("%s = %s, %v; want %v", path, v.Raw(), v.Err(), is)
		}
	}
}

func TestJSONValues(t *testing.T) {
	const doc = `{"n":21.5,"i":-42,"s":"h\u00e9\ud83d\ude00\n\/\ud83dx","t":true,"f":false,"z":null,"big":9223372036854775808,"huge":1e999,"w":"21.5"}`
	get := func(name string) skerry.Value { return skerry.JSON([]byte(doc)).Get(name) }
	if f, err := get("n").Float(); f != 21.5 || err != nil {
		t.Error(f, err)
	}
	if n, err := get("i").Int(); n != -42 || err != nil {
		t.Error(n, err)
	}
	if s, err := get("s").Text(); s != "hé😀\n/\uFFFDx" || err != nil {
		t.Errorf("%q %v", s, err)
	}
	if b, err := get("t").Bool(); !b || err != nil {
		t.Error(b, err)
	}
	if b, err := get("f").Bool(); b || err != nil {
		t.Error(b, err)
	}
	if !get("z").IsNull() || get("x").IsNull() || get("n").IsNull() {
		t.Error("null")
	}
}

func TestJSONErrorsSayWhatIsThere(t *testing.T) {
	_, asNumber := skerry.JSON([]byte(`{"w":"21.5"}`), "w").Float()
	_, asInt := skerry.JSON([]byte(`9223372036854775808`)).Int()
	_, fraction := skerry.JSON([]byte(`1.0`)).Int()
	_, huge := skerry.JSON([]byte(`1e999`)).Float()
	_, asText := skerry.JSON([]byte(`{"w":`+strings.Repeat("1", 50)+`}`), "w").Text()
	_, asBool := skerry.JSON([]byte(`null`)).Bool()
	_, absent := skerry.JSON([]byte(`{}`), "temp").Float()
	_, cut := skerry.JSON([]byte(`{"a":1`), "temp").Float()
	_, escape := skerry.JSON([]byte(`"\x"`)).Text()
	var members [1]skerry.Value
	skerry.JSON([]byte(`{"line":"3"}`)).Members(members[:], "line")
	_, asLine := members[0].Int()
	_, inNumber := skerry.JSON([]byte(`5`), "temp").Get("x").Text()
	for _, tt := range []struct {
		err  error
		is   error
		says string
	}{
		{asNumber, skerry.ErrInvalid, `JSON member "w" holds "21.5", want a number`},
		{asInt, skerry.ErrInvalid, "want a whole number of 64 bits"},
		{fraction, skerry.ErrInvalid, "holds 1.0, want a whole number"},
		{huge, skerry.ErrInvalid, "want a number"},
		{asText, skerry.ErrInvalid, `JSON member "w" holds ` + strings.Repeat("1", 40) + ", want a string"},
		{asBool, skerry.ErrInvalid, "JSON holds null, want true or false"},
		{absent, skerry.ErrNotFound, `JSON member "temp": not found`},
		{cut, skerry.ErrInvalid, "not JSON at byte 6"},
		{escape, skerry.ErrInvalid, "proper escapes"},
		{asLine, skerry.ErrInvalid, `JSON member "line" holds "3", want a whole number of 64 bits`},
		{inNumber, skerry.ErrInvalid, `no object or list around "temp"`},
	} {
		if !errors.Is(tt.err, tt.is) || !strings.Contains(tt.err.Error(), tt.says) || strings.Contains(tt.err.Error(), "invalid argument") {
			t.Errorf("got %v, want %q", tt.err, tt.says)
		}
	}
}

func TestJSONRefusesWhatIsNone(t *testing.T) {
	for _, doc := range []string{
		``, ` `, `{`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":}`, `{"a":"x`, `{"b":1,}`, `{"b":1 2}`, `{"b":[1}`, `{b:1,"a":2}`,
		`{"b":"x` + "\n" + `","a":1}`, `{"b":1]`, `{,"a":1}`, `{"b":"\"`,
	} {
		if v := skerry.JSON([]byte(doc), "a"); !errors.Is(v.Err(), skerry.ErrInvalid) {
			t.Errorf("JSON(%q, a) = %s, %v; want an error", doc, v.Raw(), v.Err())
		}
	}
	for _, number := range []string{"01", "-", "+1", "1.", ".5", "1e", "1e+", "0x10", "1_0", "Infinity", "NaN", "--1", "1.2.3", "-01"} {
		if f, err := skerry.JSON([]byte(number)).Float(); err == nil {
			t.Errorf("%s is the number %v", number, f)
		}
	}
}

// doc is a little of everything, for the fuzzer to take apart.
const seedDoc = `{"a":1,"b":{"a":[2,"]",-0.5e-3,true]},"\u00e9\ud83d\ude00":"\u00e9\\\/","x":null}`

// FuzzJSON compares with encoding/json on every path of what is JSON, and looks
// for panics on what is not.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(seedDoc))
	f.Add([]byte(`[[],{},"\ud800",12345678901234567890,1e400]`))
	f.Add([]byte(`{"a":{"a":{"a":"a"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, path := range [][]string{nil, {"a"}, {"0"}, {"a", "a"}, {"b", "a", "3"}} {
			v := skerry.JSON(data, path...)
			_, _ = v.Text()
			_, _ = v.Float()
			if len(v.Raw()) > len(data) || (v.Raw() == nil) != (v.Err() != nil) {
				t.Errorf("JSON(%q, %q) = %q, %v", data, path, v.Raw(), v.Err())
			}
		}
		sameAsOneByOne(t, data, "a", "b\\n", "")
		if json.Valid(data) && utf8.Valid(data) {
			sameAsStandard(t, skerry.JSON(data), data)
		}
	})
}

// sameAsOneByOne compares Members with asking for each: a member that is found
// alone is found, with the same value, unless the text breaks off before another
// one that is looked for.
func sameAsOneByOne(t *testing.T, data []byte, names ...string) {
	t.Helper()
	values := make([]skerry.Value, len(names))
	skerry.JSON(data).Members(values, names...)
	for i, name := range names {
		alone := skerry.JSON(data, name)
		if string(values[i].Raw()) != string(alone.Raw()) || (values[i].Err() == nil) != (alone.Err() == nil) {
			t.Errorf("%q: member %q is %q, %v, and alone %q, %v", data, name, values[i].Raw(), values[i].Err(), alone.Raw(), alone.Err())
		}
		if errors.Is(alone.Err(), skerry.ErrNotFound) && !errors.Is(values[i].Err(), skerry.ErrNotFound) {
			t.Errorf("%q: member %q: %v, want that it is not found", data, name, values[i].Err())
		}
	}
}

func TestMembers(t *testing.T) {
	for _, data := range []string{
		seedDoc, `{}`, ` { "a" : 1 , "b\n" : [ 2 ] , "" : "x" } `, `{"a":1,"a":2}`, `{"b\\n":1,"\u0061":2}`,
		`[1]`, `"a"`, ``, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,"c":}`, `{"x":1,"b\n":2 "":3}`,
	} {
		sameAsOneByOne(t, []byte(data), "a", "b\n", "")
	}
}

// sameAsStandard walks all of a document with both readers.
func sameAsStandard(t *testing.T, v skerry.Value, data []byte) {
	t.Helper()
	if v.Err() != nil || !bytes.Equal(v.Raw(), bytes.Trim(data, " \t\r\n")) {
		t.Fatalf("%q is %q, %v", data, v.Raw(), v.Err())
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch want := token.(type) {
	case string:
		if got, err := v.Text(); got != want || err != nil {
			t.Errorf("%q is the string %q, %v", data, got, err)
		}
	case json.Number:
		sameNumber(t, v, want)
	case bool:
		if got, err := v.Bool(); got != want || err != nil {
			t.Errorf("%q is %v, %v", data, got, err)
		}
	case nil:
		if !v.IsNull() {
			t.Errorf("%q is not null", data)
		}
	default:
		sameChildren(t, v, d)
	}
}

func sameNumber(t *testing.T, v skerry.Value, want json.Number) {
	t.Helper()
	f, err := want.Float64()
	if got, gotErr := v.Float(); (gotErr != nil) != (err != nil) || err == nil && math.Float64bits(got) != math.Float64bits(f) {
		t.Errorf("%s is %v, %v", want, got, gotErr)
	}
	i, err := want.Int64()
	if got, gotErr := v.Int(); (gotErr != nil) != (err != nil) || err == nil && got != i {
		t.Errorf("%s is %v, %v", want, got, gotErr)
	}
}

func sameChildren(t *testing.T, v skerry.Value, d *json.Decoder) {
	t.Helper()
	seen := map[string]bool{}
	for i := 0; d.More(); i++ {
		name := strconv.Itoa(i)
		if v.Raw()[0] == '{' {
			token, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			name = token.(string)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			t.Fatal(err)
		}
		if !seen[name] {
			sameAsStandard(t, v.Get(name), raw)
		}
		seen[name] = true
	}
}

func BenchmarkJSON(b *testing.B) {
	data := []byte(`{"sensor":"s1","line":3,"temp":31.5,"unit":"C"}`)
	b.ReportAllocs()
	for b.Loop() {
		if f, err := skerry.JSON(data, "temp").Float(); f != 31.5 || err != nil {
			b.Fatal(f, err)
		}
	}
}
