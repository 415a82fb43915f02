package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// What a file says of a target is what goes over the wire.
func TestTargetsFromTheFile(t *testing.T) {
	var got *http.Request
	var body []byte
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body) // a cut body fails the comparison
		if r.URL.Query().Get("broken") != "" {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer far.Close()
	c, err := LoadConfig(writeConfig(t, fmt.Sprintf(`
device: {id: gw7}
registry: {ref: "oci://h/fleet", root_file: root.json}
targets:
  - name: records
    kind: http
    url: '%[1]s/in?tenant=7'
    path: /{device}/{subject...}
    payload: '{"degrees": "${data.t}", "of": "${topic}"}'
    token_file: pw
    max_payload: 1KiB
  - {name: broken, kind: http, url: '%[1]s/?broken=1', fn_error_statuses: [502], headers: ["X-Site: west"]}
`, far.URL)))
	if err != nil {
		t.Fatal(err)
	}
	rec := agent.Record{Event: agent.Event{ID: "1", Subject: "plant/7", Data: []byte(`{"t":21}`)}}
	send := func(i int) error {
		target, err := uplink.Open(c.Targets[i].uplink(c.Device.ID))
		if err != nil {
			t.Fatal(err)
		}
		return target.Send(t.Context(), rec)
	}
	if err := send(0); err != nil {
		t.Fatal(err)
	}
	if got.RequestURI != "/in/gw7/plant/7?tenant=7" || string(body) != `{"degrees":21,"of":"plant/7"}` || got.Header.Get("Authorization") != "Bearer secret" {
		t.Errorf("%s %s, %v", got.RequestURI, body, got.Header)
	}
	if err := send(1); uplink.ClassOf(err) != uplink.FnError || got.Header.Get("X-Site") != "west" {
		t.Errorf("%v, %v", err, got.Header)
	}
}
