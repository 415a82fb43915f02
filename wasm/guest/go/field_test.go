package skerry_test

import (
	"encoding/json"
	"errors"
	"testing"

	skerry "github.com/skerry-edge/skerry/wasm/guest/go"
)

func TestField(t *testing.T) {
	for _, tt := range []struct {
		data, name, want string
		ok               bool
	}{
		{`{"a":1}`, "a", "1", true},
		{`{"a": -1.5e3 , "b":2}`, "a", "-1.5e3", true},
		{`{"a":"x","b":"y"}`, "b", "y", true},
		{`{"a":"say \"hi\"","b":2}`, "a", `say \"hi\"`, true},
		{`{"x":{"a":1},"a":2}`, "a", "2", true},
		{`{"x":["a",{"a":1}],"a":[1,{"b":"]"}],"c":3}`, "a", `[1,{"b":"]"}]`, true},
		{`{"x":"a","a":true}`, "a", "true", true},
		{`{"a":""}`, "a", "", true},
		{`{"b":1}`, "a", "", false},
		{`["a",1]`, "a", "", false},
		{`{"a`, "a", "", false},
		{`{"a":`, "a", "", false},
		{`{"a":"x`, "a", "", false},
		{``, "a", "", false},
	} {
		if got, ok := skerry.Field([]byte(tt.data), tt.name); string(got) != tt.want || ok != tt.ok {
			t.Errorf("Field(%s, %q) = %q, %v; want %q, %v", tt.data, tt.name, got, ok, tt.want, tt.ok)
		}
	}
	if f, ok := skerry.Number([]byte(`{"t":21.5}`), "t"); f != 21.5 || !ok {
		t.Errorf("Number = %v, %v", f, ok)
	}
	if _, ok := skerry.Number([]byte(`{"t":"warm"}`), "t"); ok {
		t.Error("a word is a number")
	}
}

func TestWithoutAHost(t *testing.T) {
	if err := skerry.Publish("a", nil, skerry.QoS0); !errors.Is(err, skerry.ErrNoHost) {
		t.Errorf("got %v, want ErrNoHost", err)
	}
}

// FuzzField compares with encoding/json on what is JSON, and looks for panics
// on what is not. Documents with a key twice, or one written with escapes, may
// differ: encoding/json takes the last.
func FuzzField(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":{"a":[2,"]"]}}`))
	f.Add([]byte(`{"a":"\u00e9\\"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := skerry.Field(data, "a")
		var doc map[string]json.RawMessage
		if json.Unmarshal(data, &doc) != nil || len(doc) != 1 || doc["a"] == nil {
			return
		}
		if text, err := json.Marshal(map[string]json.RawMessage{"a": doc["a"]}); err != nil || len(text) != len(compact(data)) {
			return
		}
		var s string
		if !ok || json.Unmarshal(doc["a"], &s) == nil && s != "" && len(got) == 0 {
			t.Errorf("Field(%q) = %q, %v; want %s", data, got, ok, doc["a"])
		}
	})
}

func compact(data []byte) []byte {
	var doc any
	if json.Unmarshal(data, &doc) != nil {
		return nil
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return nil
	}
	return text
}
