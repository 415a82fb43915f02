package uplink

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

// Whatever an event says, a request goes below the place that was configured.
func FuzzPath(f *testing.F) {
	f.Add("plant/7", "gw7/42/0")
	f.Add("../../admin?x=1#y", "..")
	f.Add("a\\..\\b", "%2e%2e/\r\nHost: evil")
	f.Add("//evil.example/x", "@evil.example:80")
	f.Fuzz(func(t *testing.T, subject, id string) {
		for _, text := range []string{"/in/{subject...}/{id}", "/in/{subject}-{id...}"} {
			p, err := newPath(&TargetConfig{}, text)
			if err != nil {
				t.Fatal(err)
			}
			path, err := p.of(&agent.Record{Event: agent.Event{ID: id, Subject: subject}})
			if err != nil {
				continue
			}
			u, err := url.Parse("https://central.example/base" + path + "?q=1")
			if err != nil || u.Host != "central.example" || u.RawQuery != "q=1" || u.Fragment != "" {
				t.Fatalf("%q, %q lead to %v, %v", subject, id, u, err)
			}
			if clean := u.JoinPath().EscapedPath(); !strings.HasPrefix(clean, "/base/in/") {
				t.Errorf("%q, %q lead to %s", subject, id, clean)
			}
		}
	})
}

// What is made of any data is one JSON object.
func FuzzAsObject(f *testing.F) {
	for _, seed := range []string{`{"a":1}`, `[]`, "", "\xff", ` {`, `{"a":1} {`, "null"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := message{header: map[string][]string{}}
		if err := m.writeJSON(asObject(data)); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(m.body, &object); err != nil || len(object) == 0 && !json.Valid(data) {
			t.Errorf("%q becomes %s, %v", data, m.body, err)
		}
	})
}
