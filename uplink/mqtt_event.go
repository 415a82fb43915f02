package uplink

import (
	"bytes"
	"cmp"
	"encoding/json"
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
)

// structuredEvent is an event in CloudEvents' structured mode (JSON format
// 1.0). One of Data and DataBase64 is set, or none where there is no data.
type structuredEvent struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Subject         string `json:"subject,omitempty"`
	Time            string `json:"time,omitempty"`
	DataContentType string `json:"datacontenttype,omitempty"`
	Clock           string `json:"clock,omitempty"` // "untrusted": the time may be wrong
	TraceParent     string `json:"traceparent,omitempty"`
	Data            any    `json:"data,omitempty"`
	DataBase64      []byte `json:"data_base64,omitempty"`
}

// structured is ev as JSON. The error is PERMANENT.
func structured(ev *agent.Event, trace string) ([]byte, error) {
	if ev.ID == "" || ev.Source == "" || ev.Type == "" {
		return nil, refuse("the event lacks an id, a source or a type, which CloudEvents need")
	}
	s := structuredEvent{SpecVersion: "1.0", ID: ev.ID, Source: ev.Source, Type: ev.Type, Subject: ev.Subject, DataContentType: ev.ContentType, TraceParent: trace}
	if !ev.Time.IsZero() {
		s.Time = ev.Time.UTC().Format(time.RFC3339Nano)
	}
	if ev.Unsure {
		s.Clock = "untrusted"
	}
	s.putData(ev.Data)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(&s); err != nil {
		return nil, refuse("the event cannot be written as JSON: %v", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// putData takes data in as JSON where it is that, as a string where it is
// another text, and else as bytes: also the JSON of types such as
// application/vnd.plant+json, which the Go SDK, and so Knative, would refuse as
// a value.
func (s *structuredEvent) putData(data []byte) {
	kind, _, _ := mime.ParseMediaType(s.DataContentType) // "" where it makes no sense
	isJSON := kind == "application/json" || kind == "text/json"
	switch {
	case len(data) == 0:
	case (isJSON || s.DataContentType == "") && json.Valid(data) && utf8.Valid(data):
		s.Data = json.RawMessage(data)
	case strings.HasPrefix(kind, "text/") && utf8.Valid(data):
		s.Data = string(data)
	default:
		s.DataBase64, s.DataContentType = data, cmp.Or(s.DataContentType, "application/octet-stream")
	}
}
