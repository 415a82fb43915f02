package skerry_test

import (
	"errors"
	"testing"

	skerry "github.com/skerry-edge/skerry/wasm/guest/go"
)

func TestWithoutAHost(t *testing.T) {
	_, add := skerry.Add("n", 1)
	_, get := skerry.Get("k")
	_, list := skerry.Keys("", 0)
	_, do := skerry.Do(&skerry.Request{URL: "https://example.com/"})
	for _, err := range []error{skerry.Publish("a", nil, skerry.QoS0), get, list, do, skerry.Random(make([]byte, 4)), skerry.Sleep(1)} {
		if !errors.Is(err, skerry.ErrNoHost) {
			t.Errorf("got %v, want ErrNoHost", err)
		}
	}
	if add == nil || skerry.Config("k") != "" {
		t.Error("something answered")
	}
}

func TestDoRefusesLineBreaksInHeaders(t *testing.T) {
	for _, r := range []skerry.Request{
		{URL: "https://example.com/\nHost: other"},
		{URL: "https://example.com/", Header: []skerry.HeaderLine{{Name: "A", Value: "b\r\nC: d"}}},
		{Method: "GET\n", URL: "https://example.com/"},
	} {
		if _, err := skerry.Do(&r); !errors.Is(err, skerry.ErrInvalid) {
			t.Errorf("%q: %v, want ErrInvalid", r.URL, err)
		}
	}
}
