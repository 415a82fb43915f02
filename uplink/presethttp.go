package uplink

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
)

// httpRow: any HTTP server. Data goes as it is.
var httpRow = httpKind("method path format batch compress"+authOptions, func(c *TargetConfig) (*preset, error) {
	p := &preset{method: strings.ToUpper(c.Method), path: c.Path}
	switch p.method {
	case "", http.MethodPost, http.MethodPut, http.MethodPatch:
	default:
		return nil, mistake("method", "%.20q is not known; use POST, PUT or PATCH", c.Method)
	}
	format, err := oneOf("format", c.Format, "array", "ndjson")
	if err != nil {
		return nil, err
	}
	if c.Format != "" && c.Batch == 0 {
		return nil, mistake("format", "says how a batch is written; set batch, or remove it")
	}
	if p.join = joinArray; format == "ndjson" {
		p.join = joinLines
	}
	p.url, err = place(c, "", "")
	return p, err
})

// joinArray writes the data of each as a value of one JSON array.
func joinArray(all []*message) (*message, error) {
	values := make([]any, len(all))
	for i, m := range all {
		values[i] = asJSON(m.event.Data)
	}
	m := joined(all)
	return m, m.writeJSON(values)
}

// joinLines writes the data of each as a line of JSON.
func joinLines(all []*message) (*message, error) {
	m := joined(all)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, one := range all {
		if err := enc.Encode(asJSON(one.event.Data)); err != nil { // compact: in one line
			return nil, refuse("the event cannot be written as JSON: %v", err)
		}
	}
	m.body = b.Bytes()
	m.header.Set("Content-Type", "application/x-ndjson")
	return m, nil
}

// joined is one message for all, without a body. The id of one record would
// say too little of it.
func joined(all []*message) *message {
	m := *all[0]
	m.header = m.header.Clone()
	if len(all) > 1 {
		m.header.Del("Idempotency-Key")
	}
	return &m
}

// cloudEventsRow: any receiver of CloudEvents, such as a Knative broker.
// Receivers deduplicate by source and id.
var cloudEventsRow = httpKind("path format batch compress"+authOptions, func(c *TargetConfig) (*preset, error) {
	p, err := cloudEvents(c.Format)
	if err != nil {
		return nil, err
	}
	if c.Batch != 0 && c.Format == "binary" {
		return nil, mistake("format", "binary has no batches; remove it or batch")
	}
	p.path, p.join = c.Path, joinEvents
	p.url, err = place(c, "", "")
	return p, err
})

// cloudEvents writes events in one of the modes of the CloudEvents HTTP binding.
func cloudEvents(format string) (*preset, error) {
	format, err := oneOf("format", format, "binary", "structured")
	if err != nil {
		return nil, err
	}
	p := &preset{write: writeBinary, reserved: []string{"content-type", "ce-"}}
	if format == "structured" {
		p.write = writeStructured
	}
	return p, nil
}

// writeBinary puts the event's attributes into headers.
func writeBinary(m *message) error {
	ev, h := m.event, m.header
	if ev.ID == "" || ev.Source == "" || ev.Type == "" {
		return refuse("the event lacks an id, a source or a type, which CloudEvents need")
	}
	h.Set("ce-specversion", "1.0")
	h.Set("ce-id", encodeHeader(ev.ID))
	h.Set("ce-source", encodeHeader(ev.Source))
	h.Set("ce-type", encodeHeader(ev.Type))
	if ev.Subject != "" {
		h.Set("ce-subject", encodeHeader(ev.Subject))
	}
	if !ev.Time.IsZero() {
		h.Set("ce-time", ev.Time.UTC().Format(eventTime))
	}
	if ev.Unsure {
		h.Set("ce-clock", "untrusted")
	}
	if m.trace != "" {
		h.Set("ce-"+parentHeader, m.trace)
	}
	return writeBare(m)
}

// writeStructured puts all of the event into JSON.
func writeStructured(m *message) error {
	text, err := structured(m.event, m.trace)
	if err != nil {
		return err
	}
	m.body = text
	m.header.Set("Content-Type", "application/cloudevents+json")
	return nil
}

// joinEvents writes all of the events into one JSON array.
func joinEvents(all []*message) (*message, error) {
	m := joined(all)
	for name := range m.header {
		if strings.HasPrefix(name, "Ce-") {
			m.header.Del(name)
		}
	}
	values := make([]json.RawMessage, len(all))
	for i, one := range all {
		text, err := structured(one.event, one.trace)
		if err != nil {
			return nil, err
		}
		values[i] = text
	}
	err := m.writeJSON(values)
	m.header.Set("Content-Type", "application/cloudevents-batch+json")
	return m, err
}
