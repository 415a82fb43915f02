package uplink

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
)

// message is a record on its way to become a request.
type message struct {
	rec    *agent.Record
	event  *agent.Event // the record's, with the data that the payload template made
	path   string       // what the path template made, escaped, or ""
	trace  string       // traceparent that goes along, "" for none
	header http.Header
	body   []byte
}

// refuse is the outcome of a record that can never be sent.
func refuse(format string, args ...any) error {
	return &Error{Class: Permanent, Reason: fmt.Sprintf(format, args...)}
}

// payload makes the data that a target sends out of an event.
type payload struct {
	template agent.Template // nil: the event's own data
	limit    int64          // bytes, 0: none
	kind     string
}

// newPayload takes the options payload and max_payload; limit is the kind's own.
func newPayload(c *TargetConfig, limit int64) (payload, error) {
	p := payload{limit: limit, kind: c.Kind}
	if c.MaxPayload < 0 {
		return p, mistake("max_payload", "is a size, not %d bytes", c.MaxPayload)
	}
	if c.MaxPayload != 0 {
		p.limit = c.MaxPayload
	}
	if c.Payload == "" {
		return p, nil
	}
	template, err := compileTemplate(c, c.Payload)
	if err != nil {
		return p, mistake("payload", "cannot be used: %v", err)
	}
	p.template = template
	return p, nil
}

// compileTemplate takes JSON with ${…} in its texts, or else plain text with
// them.
func compileTemplate(c *TargetConfig, text string) (agent.Template, error) {
	if !json.Valid([]byte(text)) {
		quoted, err := json.Marshal(text)
		if err != nil {
			return nil, err
		}
		text = string(quoted)
	}
	return c.Compile(text)
}

// of is the event of rec as it is to be sent. What is too large is refused
// before anything goes over the link.
func (p *payload) of(rec *agent.Record) (*agent.Event, error) {
	ev := &rec.Event
	if p.template != nil {
		data, err := p.template.Render(agent.Terms{Event: ev})
		if err != nil {
			return nil, refuse("payload: %v", err)
		}
		ev = &agent.Event{
			ID: ev.ID, Source: ev.Source, Type: ev.Type, Subject: ev.Subject, Time: ev.Time, Unsure: ev.Unsure, Trace: ev.Trace,
			ContentType: "application/json", Data: data,
		}
		if !json.Valid(data) {
			ev.ContentType = "text/plain; charset=utf-8"
		}
	}
	return ev, p.check(len(ev.Data))
}

// check refuses n bytes of data that the far side would refuse.
func (p *payload) check(n int) error {
	if p.limit == 0 || int64(n) <= p.limit {
		return nil
	}
	return refuse("the payload has %d bytes, and targets of kind %s take at most %d: send less, or raise max_payload if the far side takes more",
		n, p.kind, p.limit)
}

// writeData sends the data of the event as it is, with its id.
func writeData(m *message) error {
	m.header.Set("Idempotency-Key", encodeHeader(m.event.ID))
	return writeBare(m)
}

// writeBare sends the data of the event as it is.
func writeBare(m *message) error {
	m.body = m.event.Data
	return setContentType(m.header, m.event)
}

// setContentType names the event's media type; where the event has none, JSON
// is told from other bytes by looking.
func setContentType(h http.Header, ev *agent.Event) error {
	ct := ev.ContentType
	switch {
	case ct == "" && json.Valid(ev.Data):
		ct = "application/json"
	case ct == "":
		ct = "application/octet-stream"
	case !validValue(ct):
		return refuse("content type %.80q cannot be sent in a header", ct)
	}
	h.Set("Content-Type", ct)
	return nil
}

// writeJSON sends v.
func (m *message) writeJSON(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return refuse("the event cannot be written as JSON: %v", err)
	}
	m.header.Set("Content-Type", "application/json")
	m.body = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	return nil
}

// asObject is data as a JSON object: itself if it is one, else {"data": …}, or
// {"data_base64": …} of what is neither JSON nor text.
func asObject(data []byte) any {
	if text := bytes.TrimLeft(data, " \t\r\n"); len(text) > 0 && text[0] == '{' && json.Valid(data) {
		return json.RawMessage(data)
	}
	if !json.Valid(data) && !utf8.Valid(data) {
		return map[string]any{"data_base64": data}
	}
	return map[string]any{"data": asJSON(data)}
}

// asJSON is data as a JSON value: itself, or a text.
func asJSON(data []byte) any {
	if json.Valid(data) {
		return json.RawMessage(data)
	}
	return asText(data)
}

// asText is data as a text: itself, or base64 of what is none.
func asText(data []byte) string {
	if utf8.Valid(data) {
		return string(data)
	}
	return base64.StdEncoding.EncodeToString(data)
}

// zip compresses the body.
func (m *message) zip() {
	m.body = gzipped(m.body)
	m.header.Set("Content-Encoding", "gzip")
}

// zippers are kept, since each takes 800 kB.
var zippers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

func gzipped(data []byte) []byte {
	var out bytes.Buffer
	z := zippers.Get().(*gzip.Writer)
	defer zippers.Put(z)
	z.Reset(&out)
	if _, err := z.Write(data); err != nil {
		panic(err) // a buffer takes everything
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}
