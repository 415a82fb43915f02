package uplink

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

// eventTime is how events say their time.
const eventTime = time.RFC3339Nano

// gcfRow: a function of Google Cloud, of both generations: they differ in their
// URL only. It is let in by an ID token of a service account.
var gcfRow = httpKind("path format service_account_file audience", func(c *TargetConfig) (*preset, error) {
	format, err := oneOf("format", c.Format, "data", "binary", "structured")
	if err != nil {
		return nil, err
	}
	p := &preset{}
	if format != "data" {
		if p, err = cloudEvents(format); err != nil {
			return nil, err
		}
	}
	p.path, p.limit = c.Path, 10<<20
	if p.url, err = place(c, "", ""); err != nil {
		return nil, err
	}
	if c.ServiceAccount == "" {
		if c.Audience != "" {
			return nil, mistake("audience", "is whom a token is for; set service_account_file, or remove it")
		}
		p.auth = noAuth{}
		return p, nil
	}
	audience, _, _ := strings.Cut(p.url, "?")
	p.login = func(s *sender) (auth, error) { return newIDToken(c, s, cmp.Or(c.Audience, audience)) }
	return p, nil
})

// azureRow: a function of Azure, by its HTTP trigger, or any other by the
// endpoint for administrators, which answers before the function runs.
var azureRow = httpKind("path function token", func(c *TargetConfig) (*preset, error) {
	p := &preset{path: c.Path, class: missingHolds(nil, "the function is not there")}
	var err error
	if p.auth, err = newHeaderToken(c, "X-Functions-Key", ""); err != nil {
		return nil, err
	}
	if c.Function == "" {
		p.url, err = place(c, "", "")
		return p, err
	}
	if c.Path != "" {
		return nil, mistake("path", "is of an HTTP trigger, and function of the endpoint for administrators; give one of them")
	}
	name, err := escapeName("function", c.Function)
	if err != nil {
		return nil, err
	}
	p.reserved = []string{"content-type"}
	p.write = func(m *message) error {
		return m.writeJSON(map[string]string{"input": asText(m.event.Data)})
	}
	p.url, err = place(c, "", "/admin/functions/"+name)
	return p, err
})

// iftttRow: an applet of IFTTT's Webhooks.
var iftttRow = httpKind("event token format", func(c *TargetConfig) (*preset, error) {
	format, formatErr := oneOf("format", c.Format, "values", "json")
	key, err := newSecret("token", c.Token, c.TokenFile, nil)
	if err == nil && key == nil {
		err = need("token", "", "the key that maker.ifttt.com shows under Documentation")
	}
	if err := errors.Join(formatErr, err, need("event", c.Event, "the event's name in IFTTT")); err != nil {
		return nil, err
	}
	p := &preset{reserved: []string{"content-type"}, write: writeValues, auth: &keyInPath{key}}
	middle := "/with/key/"
	if format == "json" {
		p.write, middle = writeObject, "/json/with/key/"
	}
	p.url, err = place(c, "https://maker.ifttt.com", "/trigger/"+rfc3986(c.Event)+middle)
	return p, err
})

// writeValues sends value1, value2 and value3 of the data, or all of the data
// as value1 beside the subject and the time.
func writeValues(m *message) error {
	var given map[string]json.RawMessage
	out := map[string]any{}
	if json.Unmarshal(m.event.Data, &given) == nil {
		for _, name := range []string{"value1", "value2", "value3"} {
			if v, ok := given[name]; ok {
				out[name] = v
			}
		}
	}
	if len(out) == 0 {
		out["value1"], out["value2"], out["value3"] = asText(m.event.Data), m.event.Subject, m.event.Time.UTC().Format(eventTime)
	}
	return m.writeJSON(out)
}

// writeObject sends the data as a JSON object.
func writeObject(m *message) error { return m.writeJSON(asObject(m.event.Data)) }

// missingHolds reads a 404 as a mistake to mend, and no reason to give up what
// waits or to ask often. failed tells whether the function ran and failed, and
// may be nil.
func missingHolds(failed func(*answer) bool, hint string) func(*answer) (Class, string) {
	return func(a *answer) (Class, string) {
		if failed != nil && failed(a) {
			return FnError, ""
		}
		if a.status == http.StatusNotFound {
			return Hold, hint
		}
		return a.class(), ""
	}
}

// hasField tells the JSON of a central from the page of a proxy before it, which
// says the same status when nothing ran. The JSON may be cut.
func (a *answer) hasField(name string) bool {
	text := bytes.TrimSpace(a.body)
	return len(text) > 0 && text[0] == '{' && bytes.Contains(text, []byte(`"`+name+`"`))
}
