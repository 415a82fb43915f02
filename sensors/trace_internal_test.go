package sensors

import (
	"net/http"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

const parentTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// What says where an event comes from is taken where its protocol puts it, and
// what only looks like it is not.
func TestTraceContextOfEvents(t *testing.T) {
	other := "00-11111111111111111111111111111111-2222222222222222-00"
	for payload, want := range map[string]string{
		`{"specversion":"1.0","id":"1","traceparent":"` + parentTrace + `"}`: parentTrace,
		`{"traceparent":"` + parentTrace + `"}`:                              "", // no CloudEvent
		`{"specversion":"1.0","data":{"traceparent":"` + parentTrace + `"}}`: "",
		`{"specversion":"1.0","traceparent":"00-0-0-01"}`:                    "",
		`{"specversion":"1.0","traceparent":7}`:                              "",
		`"traceparent"`:                                                      "",
		``:                                                                   "",
	} {
		if got := payloadTrace([]byte(payload)); got != want {
			t.Errorf("%s: %q, want %q", payload, got, want)
		}
	}
	for _, tt := range []struct{ header, of, want string }{
		{parentTrace, "", parentTrace},
		{parentTrace, other, parentTrace},
		{"", other, other},
		{" " + parentTrace + " ", "", parentTrace},
		{"nonsense", other, ""},
		{"", "", ""},
	} {
		h := http.Header{}
		h.Set("Traceparent", tt.header)
		if got := requestTrace(h, tt.of); got != tt.want {
			t.Errorf("header %q, event %q: %q, want %q", tt.header, tt.of, got, tt.want)
		}
	}
}

func FuzzPayloadTrace(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","traceparent":"` + parentTrace + `"}`))
	f.Add([]byte(`{"traceparent"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s := payloadTrace(data); s != "" && !agent.CheckTraceParent(s) {
			t.Errorf("%q is taken for a trace", s)
		}
	})
}
