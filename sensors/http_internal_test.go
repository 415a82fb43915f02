package sensors

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestRatesForgetWhoIsQuiet(t *testing.T) {
	r, now := newRates(1, 1), time.Now()
	for range maxClients {
		r.take(time.Duration(len(r.clients)).String(), now)
	}
	if r.take("0s", now) == 0 {
		t.Error("a client that used its burst up was forgotten")
	}
	r.take("one more", now.Add(time.Hour))
	if n := len(r.clients); n != 1 {
		t.Errorf("%d clients remembered an hour later, want 1", n)
	}
}

func FuzzRequestEvent(f *testing.F) {
	f.Add("application/cloudevents+json", "", "", `{"specversion":"1.0","id":"7","source":"/shop","type":"order.new","data":{"a":1}}`)
	f.Add("application/cloudevents+json", "", "k", `{"specversion":"1.0","id":"7","source":"/s","type":"t","data_base64":"AAE=","time":"2026-01-31T12:00:00Z"}`)
	f.Add("text/plain", "1.0", "", "x")
	f.Add("a/b; charset", "1.0", "k", "")
	h := &HTTP{source: "/gw7/http"}
	f.Fuzz(func(t *testing.T, kind, version, key, body string) {
		r := &http.Request{Header: http.Header{
			"Content-Type": {kind}, "Ce-Specversion": {version}, "Idempotency-Key": {key},
			"Ce-Id": {body}, "Ce-Source": {key}, "Ce-Type": {"t" + body},
		}}
		ev, err := h.event(r, "a", []byte(body))
		if err != nil {
			if ev != nil || err.Error() == "" {
				t.Errorf("event %v and error %q", ev, err)
			}
			return
		}
		if ev.Source == "" || ev.Type == "" || len(ev.Source) > maxAttribute || len(ev.Type) > maxAttribute || ev.ContentType == "" {
			t.Errorf("event %+v", ev)
		}
		if len(ev.Data) > len(body) {
			t.Errorf("%d bytes of data from %d", len(ev.Data), len(body))
		}
		if strings.HasPrefix(kind, "application/cloudevents+json") && !ev.Origin.Redelivered {
			t.Error("a CloudEvent has an id that its repetition is known by")
		}
		if ev.Origin.Slot != "" && !utf8.ValidString(ev.Origin.Slot) {
			t.Errorf("slot %q", ev.Origin.Slot)
		}
	})
}
