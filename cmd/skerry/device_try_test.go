package main

import (
	"encoding/json"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
)

func TestTriedEvents(t *testing.T) {
	for _, tt := range []struct {
		give admin.TryEvent
		want string // data; "error" for none
	}{
		{admin.TryEvent{Subject: "a/b", Data: json.RawMessage(`{"t": 1}`)}, `{"t": 1}`},
		{admin.TryEvent{Subject: "a/b", Data: json.RawMessage(`"on"`)}, `"on"`},
		{admin.TryEvent{Subject: "a/b", Data: json.RawMessage(`"on"`), ContentType: "text/plain"}, "on"},
		{admin.TryEvent{Subject: "a/b", DataBase64: []byte{0, 0xff}}, "\x00\xff"},
		{admin.TryEvent{Subject: "a/b", Data: json.RawMessage(`1`), DataBase64: []byte{1}}, "error"},
		{admin.TryEvent{Subject: "a/+"}, "error"},
		{admin.TryEvent{}, "error"},
	} {
		ev, err := triedEvent("gw7", &tt.give)
		if err != nil {
			if tt.want != "error" {
				t.Errorf("%+v: %v", tt.give, err)
			}
			continue
		}
		if string(ev.Data) != tt.want || ev.ID == "" || ev.Source != "/gw7/inside/try" || ev.QoS != 1 {
			t.Errorf("%+v gives %+v", tt.give, ev)
		}
	}
}

func FuzzTriedEvent(f *testing.F) {
	f.Add([]byte(`{"subject":"a/b","data":{"t":1}}`))
	f.Add([]byte(`{"id":"7","type":"reading","subject":"a","contentType":"text/plain","data":"on","via":"plant"}`))
	f.Add([]byte(`{"subject":"a","data_base64":"AA=="}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var given admin.TryEvent
		if json.Unmarshal(data, &given) != nil {
			return
		}
		ev, err := triedEvent("gw7", &given)
		if err == nil && (ev.ID == "" || agent.CheckTopic(ev.Subject) != nil) {
			t.Errorf("%q gives %+v", data, ev)
		}
	})
}
