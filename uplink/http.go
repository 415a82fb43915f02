package uplink

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// HTTPOptions bind an HTTP target; only URL is needed.
type HTTPOptions struct {
	URL      string   // http or https, of the final place: redirects are not followed
	Method   string   // POST or PUT; "" means POST. Not for CloudEvents
	Headers  []string // "Name: value", sent with each request
	Username string   // with Password: HTTP Basic
	Password string
	Token    string        // bearer token
	CAFile   string        // PEM: trusted instead of the system's roots
	CertFile string        // PEM: client certificate
	KeyFile  string        // PEM
	Timeout  time.Duration // of one request; 0 means 30 s
}

// endpoint is where requests go and what each of them carries.
type endpoint struct {
	*sender
	method string
	url    string
	header http.Header // must be cloned before use
}

// httpTarget posts the bare data of an event.
type httpTarget struct{ endpoint }

// NewHTTP returns a target that sends an event's data to a URL, with the
// record's id as Idempotency-Key. Any 2xx is DELIVERED.
func NewHTTP(opts HTTPOptions) (Target, error) {
	ep, err := newEndpoint(opts, "content-type", "idempotency-key")
	if err != nil {
		return nil, err
	}
	return &httpTarget{endpoint: ep}, nil
}

func (t *httpTarget) Send(ctx context.Context, rec agent.Record) error {
	ev := &rec.Event
	h := t.header.Clone()
	if err := setContentType(h, ev); err != nil {
		return err
	}
	h.Set("Idempotency-Key", encodeHeader(ev.ID))
	return t.send(ctx, h, ev.Data)
}

func (e *endpoint) send(ctx context.Context, h http.Header, body []byte) error {
	a, err := e.do(ctx, e.method, e.url, h, body)
	if err != nil {
		return err
	}
	return a.verdict(a.class())
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
		return &Error{Class: Permanent, Reason: fmt.Sprintf("content type %.80q cannot be sent in a header", ct)}
	}
	h.Set("Content-Type", ct)
	return nil
}
