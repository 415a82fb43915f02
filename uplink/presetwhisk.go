package uplink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
)

// openWhiskRow: a trigger or an action of Apache OpenWhisk.
var openWhiskRow = httpKind("namespace trigger action mode token", func(c *TargetConfig) (*preset, error) {
	w := &whisk{trigger: c.Trigger}
	wait, err := waits(c)
	switch {
	case (c.Trigger == "") == (c.Action == ""):
		err = errors.Join(err, mistake("trigger", "or action says what is called; give one of them"))
	case c.Trigger != "" && c.Mode != "":
		err = errors.Join(err, mistake("mode", "is for actions; remove it"))
	}
	token, tokenErr := newSecret("token", c.Token, c.TokenFile, nil)
	if tokenErr == nil && token == nil {
		tokenErr = need("token", "", "the key that `wsk property get --auth` shows, name and password joined by a colon")
	}
	if err := errors.Join(err, tokenErr); err != nil {
		return nil, err
	}
	p := &preset{limit: 1 << 20, reserved: []string{"content-type"}, write: writeObject, class: w.class, note: w.note}
	p.auth = &headerToken{"Authorization", basic, token, "token"}
	space := "/api/v1/namespaces/" + rfc3986(cmp.Or(c.Namespace, "_"))
	if c.Trigger != "" {
		p.url, err = place(c, "", space+"/triggers/"+rfc3986(c.Trigger))
		return p, err
	}
	name, err := escapeName("action", c.Action)
	if err != nil {
		return nil, err
	}
	w.wait = wait
	p.url, err = place(c, "", space+"/actions/"+name, fmt.Sprintf("blocking=%t", wait), "result=false")
	return p, err
})

// whisk reads answers of OpenWhisk.
type whisk struct {
	trigger string
	wait    bool
	noRule  atomic.Int64 // answers that said so, since the last that did not
}

func (w *whisk) class(a *answer) (Class, string) {
	switch a.status {
	case http.StatusNoContent:
		w.noRule.Add(1)
		return Delivered, ""
	case http.StatusOK, http.StatusAccepted:
		w.noRule.Store(0)
	case http.StatusBadGateway:
		if w.wait && (a.header.Get("X-Openwhisk-Activation-Id") != "" || a.hasField("activationId")) { // the action ran and failed
			return FnError, ""
		}
	case http.StatusConflict:
		return Permanent, ""
	}
	return missingHolds(nil, "the trigger or action is not there")(a)
}

func (w *whisk) note() string {
	if n := w.noRule.Load(); n > 0 {
		return fmt.Sprintf("no active rule: the last %d records fired trigger %s, which started nothing; enable a rule for it there", n, w.trigger)
	}
	return ""
}

// keyInPath puts a key behind the path of the URL.
type keyInPath struct{ key *fresh[string] }

func (k *keyInPath) apply(_ context.Context, r *outgoing) error {
	r.url += rfc3986(k.key.get())
	return nil
}
func (k *keyInPath) again(*outgoing, *answer) bool { return false }
func (k *keyInPath) header() string                { return "" }
func (k *keyInPath) secrets() []string             { return []string{k.key.get()} }
func (k *keyInPath) note() string                  { return noteOf("token_file", k.key) }
