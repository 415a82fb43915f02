package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/skerry-edge/skerry/agent"
)

func TestEventsOfTheCommandLine(t *testing.T) {
	for _, tt := range []struct{ data, subject, kind, contentType, want string }{
		{`{"t":1}`, "", "io.skerry.mqtt", "", `{"t":1}`},
		{"on", "", "io.skerry.mqtt", "", "on"},
		{"", "", "io.skerry.mqtt", "", ""},
		{`[{"specversion":"1.0"}]`, "", "io.skerry.mqtt", "", `[{"specversion":"1.0"}]`},
		{`{"specversion":"1.0","type":"reading","subject":"a/b","data":{"t": 1}}`, "a/b", "reading", "", `{"t": 1}`},
		{`{"specversion":"1.0","type":"reading","datacontenttype":"text/plain","data":"on"}`, "", "reading", "text/plain", "on"},
		{`{"specversion":"1.0","type":"reading","datacontenttype":"application/json; charset=utf-8","data":"on"}`, "", "reading", "application/json; charset=utf-8", `"on"`},
		{`{"specversion":"1.0","type":"reading","datacontenttype":"application/x+json","data":"on"}`, "", "reading", "application/x+json", `"on"`},
		{`{"specversion":"1.0","type":"frame","data_base64":"AAH/"}`, "", "frame", "", "\x00\x01\xff"},
		{`{"specversion":"1.0","type":"empty"}`, "", "empty", "", ""},
	} {
		ev, err := parseEvent([]byte(tt.data))
		if err != nil || ev.Subject != tt.subject || ev.Type != tt.kind || ev.ContentType != tt.contentType || string(ev.Data) != tt.want {
			t.Errorf("%s\ngives %+v, %v", tt.data, ev, err)
		}
	}
	for data, want := range map[string]string{
		`{"specversion":"0.3"}`: `specversion "0.3" is not known: write 1.0`,
		`{"specversion":1}`:     "cannot be read as one",
		`{"specversion":"1.0","data":1,"data_base64":"AA=="}`: "not both: remove one",
	} {
		if _, err := parseEvent([]byte(data)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", data, err, want)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","subject":"a","datacontenttype":"text/plain","data":"x"}`))
	f.Add([]byte(`{"specversion":"1.0","data_base64":"AA=="}`))
	f.Add([]byte("21.5"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ev, err := parseEvent(data)
		if err == nil && (ev.ID == "" || ev.Source == "" || ev.Type == "") {
			t.Errorf("%q gives an event without a name: %+v", data, ev)
		}
	})
}

func FuzzParseEvents(f *testing.F) {
	f.Add([]byte(`[{"topic": "a", "contentType": "text/plain", "data": "x"}, {"data_base64": "AA=="}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "events.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		events, err := (&invokeOptions{events: path}).list(nil)
		if err == nil && len(events) == 0 {
			t.Errorf("%q gives no event", data)
		}
	})
}

func TestInvokeNotesWhatDevicesLack(t *testing.T) {
	fn := agent.Function{Size: 9 << 20, Secrets: []string{"token", "key"}}
	got := strings.Join(functionNotes(&fn, &invokeOptions{secrets: []string{"key=x"}}), "; ")
	want := "the module has 9.0 MiB: devices take 8.0 MiB unless their limits.module says more; secret token has no value here: give it one with --secret token=VALUE"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestStateKeepsBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	s, err := openState(path)
	if err != nil {
		t.Fatal(err)
	}
	s.apply([]agent.Write{{Key: "text", Value: []byte("7 °C")}, {Key: "raw", Value: []byte{0xff, 0}}, {Key: "empty", Value: []byte{}}, {Key: "gone", Value: []byte("x")}})
	s.apply([]agent.Write{{Key: "gone"}})
	if err := s.write(path); err != nil {
		t.Fatal(err)
	}
	if s, err = openState(path); err != nil {
		t.Fatal(err)
	}
	if len(s.values) != 3 || string(s.values["text"]) != "7 °C" || string(s.values["raw"]) != "\xff\x00" || s.values["empty"] == nil {
		t.Errorf("read back %q", s.values)
	}
	if keys, err := s.Keys("", "", 2); err != nil || strings.Join(keys, " ") != "empty raw" {
		t.Errorf("keys %q, %v", keys, err)
	}
	for text, want := range map[string]string{
		"[]": "is no JSON object", `{"a": 7}`: `"a" is neither a text in quotes`, `{"a": null}`: `"a" is neither`, `{"a": {"base64": "?"}}`: `"a" is neither`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openState(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// What a function decides comes to a terminal, which obeys control characters.
func TestWhatFunctionsSayDoesNotSteerTheTerminal(t *testing.T) {
	evil := "\x1b]0;owned\x07\u202e\r\n"
	r := invokeReport{Topic: evil, times: []time.Duration{1}}
	inv := agent.NewInvocation(&agent.Function{Name: "a/f"}, emptyState{}, agent.Outside{})
	inv.Effects = agent.Effects{
		Result:    []byte(evil),
		Writes:    []agent.Write{{Key: evil, Value: []byte(evil)}},
		Publishes: []agent.Publish{{Topic: evil, Data: []byte(evil)}},
		Followups: []agent.Followup{{Target: evil, ContentType: evil, Data: []byte(evil + "\xff")}},
		Emits:     []agent.Emit{{Function: "a/" + evil, Data: []byte(strings.Repeat(evil, 1000))}},
		Logs:      []agent.LogLine{{Text: evil}},
	}
	inv.Usage = agent.Usage{Denied: 1, Refused: []string{evil}}
	r.conclude(inv)
	for _, output := range []string{"text", "json"} {
		var b strings.Builder
		if err := printReports(&b, []*invokeReport{&r}, output, true); err != nil {
			t.Fatal(err)
		}
		if i := strings.IndexFunc(b.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 && output == "text" {
			t.Errorf("%q holds what does not print: %q", output, b.String()[i:])
		}
		if output == "json" && !json.Valid([]byte(b.String())) {
			t.Errorf("no JSON: %s", b.String())
		}
	}
}

func TestMemoryOfADevice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meminfo")
	if err := os.WriteFile(path, []byte("MemTotal:         948304 kB\nMemFree:           52124 kB\nMemAvailable:     612340 kB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if total, available, err := memoryOf(path); err != nil || total != 948304<<10 || available != 612340<<10 {
		t.Errorf("%d, %d, %v", total, available, err)
	}
	if err := os.WriteFile(path, []byte("MemFree: 1 kB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := memoryOf(path); err == nil {
		t.Error("no MemTotal, and no error")
	}
}
