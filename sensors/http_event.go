package sensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/skerry-edge/skerry/agent"
)

const (
	typeHTTP     = "io.skerry.http"
	maxAttribute = 256     // bytes of an attribute of a CloudEvent, and of an Idempotency-Key
	httpSlots    = 1 << 16 // places in which repeated requests are recognised
)

// cloudEvent is a CloudEvent 1.0 in the JSON format (structured mode). Other
// attributes are left out.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Time            string          `json:"time"`
	TraceParent     string          `json:"traceparent"`
	DataContentType string          `json:"datacontenttype"`
	Data            json.RawMessage `json:"data"`
	DataBase64      *[]byte         `json:"data_base64"`
}

// event makes an Event of a request. An error says what is wrong with it.
func (h *HTTP) event(r *http.Request, path string, body []byte) (*agent.Event, error) {
	ev := &agent.Event{
		Source: h.source, Type: typeHTTP, Subject: path, Time: time.Now(),
		ContentType: cmp.Or(r.Header.Get("Content-Type"), contentType(body)), Data: body,
		Via: agent.ViaHTTP, QoS: 1,
	}
	key := r.Header.Get("Idempotency-Key")
	kind, _, err := mime.ParseMediaType(ev.ContentType)
	if err != nil {
		return nil, fmt.Errorf("Content-Type %.80q is none: %w", ev.ContentType, err)
	}
	switch {
	case strings.HasPrefix(kind, "application/cloudevents+"), strings.HasPrefix(kind, "application/cloudevents-batch"):
		if kind != "application/cloudevents+json" {
			return nil, fmt.Errorf("%s is not taken: send one event as application/cloudevents+json", kind)
		}
		var ce cloudEvent
		if err := json.Unmarshal(body, &ce); err != nil {
			return nil, fmt.Errorf("the CloudEvent is no JSON as it should be: %w", err)
		}
		if ev.ContentType, ev.Data, err = ce.content(); err == nil {
			err = ce.apply(ev, &key)
		}
		if _, _, bad := mime.ParseMediaType(ev.ContentType); err == nil && bad != nil {
			err = fmt.Errorf("datacontenttype %.80q is none: %w", ev.ContentType, bad)
		}
	case r.Header.Get("Ce-Specversion") != "":
		err = headerEvent(r.Header).apply(ev, &key)
	}
	if err == nil && len(key) > maxAttribute {
		err = fmt.Errorf("the Idempotency-Key has more than %d bytes", maxAttribute)
	}
	if err != nil {
		return nil, err
	}
	ev.Trace = requestTrace(r.Header, ev.Trace)
	ev.Origin = requestOrigin(path, key, ev.Data)
	return ev, nil
}

// headerEvent reads the attributes of a CloudEvent in binary mode.
func headerEvent(head http.Header) *cloudEvent {
	get := func(name string) string {
		value := head.Get("Ce-" + name)
		if plain, err := url.PathUnescape(value); err == nil { // the binding has clients escape them
			return plain
		}
		return value
	}
	return &cloudEvent{SpecVersion: get("Specversion"), ID: get("Id"), Source: get("Source"), Type: get("Type"), Time: get("Time"), TraceParent: get("Traceparent")}
}

// apply puts the attributes into ev. The id is not the event's: it is unique
// for its source alone. Together they say which requests are repeated, unless
// the caller said so himself.
func (ce *cloudEvent) apply(ev *agent.Event, key *string) error {
	if !strings.HasPrefix(ce.SpecVersion, "1.") {
		return fmt.Errorf("specversion %.20q is not taken: use 1.0", ce.SpecVersion)
	}
	for _, a := range []struct{ name, value string }{{"id", ce.ID}, {"source", ce.Source}, {"type", ce.Type}} {
		if a.value == "" || len(a.value) > maxAttribute || strings.ContainsFunc(a.value, unicode.IsControl) {
			return fmt.Errorf("a CloudEvent has the attribute %s, of 1 to %d bytes without control characters", a.name, maxAttribute)
		}
	}
	ev.Source, ev.Type, ev.Trace = ce.Source, ce.Type, ce.TraceParent
	if *key == "" {
		*key = ce.Source + "\x00" + ce.ID
	}
	if ce.Time == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339, ce.Time)
	if err != nil {
		return fmt.Errorf("time %.40q is not as in 2026-01-31T12:00:00Z", ce.Time)
	}
	ev.Time = at
	return nil
}

// content is what the event carries. Data is JSON as it stands, or the text in a
// JSON string if it has another type.
func (ce *cloudEvent) content() (kind string, data []byte, err error) {
	switch {
	case ce.Data != nil && ce.DataBase64 != nil:
		return "", nil, errors.New("a CloudEvent has data or data_base64, not both")
	case ce.DataBase64 != nil:
		return cmp.Or(ce.DataContentType, contentType(*ce.DataBase64)), *ce.DataBase64, nil
	}
	kind = cmp.Or(ce.DataContentType, "application/json")
	var text string
	if ce.Data != nil && !isJSON(kind) && json.Unmarshal(ce.Data, &text) == nil {
		return kind, []byte(text), nil
	}
	return kind, bytes.Clone(ce.Data), nil
}

func isJSON(kind string) bool {
	kind, _, err := mime.ParseMediaType(kind)
	return err == nil && (kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json"))
}

// requestOrigin lets the agent recognise a request that its caller repeats
// because the answer was lost. The place of a key is used by others too: some
// tens of thousands of keys are remembered. A key that comes with other data is
// another event; nothing that was accepted is lost over a caller's mistake.
func requestOrigin(path, key string, data []byte) agent.Origin {
	if key == "" {
		return agent.Origin{}
	}
	name := path + "\x00" + key
	return agent.Origin{
		Slot: agent.ViaHTTP + "/" + strconv.FormatUint(hash(name, nil)%httpSlots, 10),
		Hash: hash(name, data), Redelivered: true, // perhaps; the agent looks
	}
}
