package uplink

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// awsBody makes of a record what a function of AWS gets: what the payload
// template made, as JSON, else the event in an envelope.
type awsBody struct {
	bare  bool // there is a template
	limit payload
}

// newAWSBody takes the options payload and max_payload; limit is the kind's
// own, of the whole body.
func newAWSBody(c *TargetConfig, limit int64) *awsBody {
	return &awsBody{c.Payload != "", payload{limit: cmp.Or(c.MaxPayload, limit), kind: c.Kind}}
}

// write sets the body, and names the trace.
func (b *awsBody) write(m *message) error {
	m.nameTrace()
	var v any = newEnvelope(m.event)
	if b.bare {
		v = asJSON(m.event.Data)
	}
	if err := m.writeJSON(v); err != nil {
		return err
	}
	return b.limit.check(len(m.body))
}

// writeTraced sends the data of the event as it is, with its id and its trace.
func writeTraced(m *message) error {
	m.nameTrace()
	return writeData(m)
}

// nameTrace leaves it to AWS which traces it keeps, unless the configuration
// wants them all.
func (m *message) nameTrace() {
	if m.header.Get(traceHeader) == "" {
		m.header.Set(traceHeader, traceParent(&m.rec.Event))
	}
}

// envelope is an event for a function. AWS may run it twice for one request;
// the id tells.
type envelope struct {
	ID         string          `json:"id"`
	Source     string          `json:"source"`
	Type       string          `json:"type"`
	Subject    string          `json:"subject,omitempty"`
	Time       string          `json:"time,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
	DataBase64 []byte          `json:"data_base64,omitempty"`
}

func newEnvelope(ev *agent.Event) *envelope {
	e := &envelope{ID: ev.ID, Source: ev.Source, Type: ev.Type, Subject: ev.Subject}
	if !ev.Time.IsZero() {
		e.Time = ev.Time.UTC().Format(time.RFC3339Nano)
	}
	if json.Valid(ev.Data) {
		e.Data = ev.Data
	} else {
		e.DataBase64 = ev.Data
	}
	return e
}
