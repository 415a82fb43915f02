package uplink

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"strings"
)

// waits tells whether the option mode says to wait for the function.
func waits(c *TargetConfig) (bool, error) {
	mode, err := oneOf("mode", c.Mode, modeAsync, modeSync)
	return mode == modeSync, err
}

// called is the place of a named function.
func called(c *TargetConfig, before string) (string, error) {
	if err := need("function", c.Function, "the function's name"); err != nil {
		return "", err
	}
	name, err := escapeName("function", c.Function)
	if err != nil {
		return "", err
	}
	return place(c, "", before+name)
}

// openFaaSRow: a function of OpenFaaS.
var openFaaSRow = httpKind("path function mode callback"+authOptions, func(c *TargetConfig) (*preset, error) {
	p := &preset{path: c.Path, reserved: []string{"content-type", "x-call-id", "x-callback-url"}}
	wait, err := waits(c)
	if err == nil && c.Callback != "" {
		if _, err = checkURL("callback", c.Callback); err == nil && wait {
			err = mistake("callback", "gets the result of an asynchronous call; remove it, or mode")
		}
	}
	if err != nil {
		return nil, err
	}
	p.write = func(m *message) error {
		m.header.Set("X-Call-Id", encodeHeader(m.event.ID))
		if c.Callback != "" {
			m.header.Set("X-Callback-Url", c.Callback)
		}
		return writeBare(m)
	}
	p.class = missingHolds(nil, "the function is not there")
	before := "/function/"
	if !wait {
		before, p.limit, p.class = "/async-function/", 1<<20, openFaaSClass
	}
	p.url, err = called(c, before)
	return p, err
})

// openFaaSClass tells a gateway that queues nothing from a missing function.
func openFaaSClass(a *answer) (Class, string) {
	if a.status == http.StatusNotFound && strings.TrimSpace(string(a.body)) == "404 page not found" {
		return Hold, "the gateway is not set up for asynchronous calls: set mode: sync, or give it a queue"
	}
	return missingHolds(nil, "the function is not there")(a)
}

// fnRow: a function of Fn by its id, or what url and path name of its HTTP
// triggers.
var fnRow = httpKind("path function mode"+authOptions, func(c *TargetConfig) (*preset, error) {
	p := &preset{path: c.Path, class: missingHolds(func(a *answer) bool {
		return a.status == http.StatusBadGateway && a.hasField("message")
	}, "the function is not there")}
	wait, err := waits(c)
	switch {
	case err != nil:
		return nil, err
	case c.Function == "" && c.Mode != "":
		return nil, mistake("mode", "is for functions that are called by their id; give function, or remove it")
	case c.Function == "":
		p.url, err = place(c, "", "")
		return p, err
	case c.Path != "":
		return nil, mistake("path", "is of an HTTP trigger, and function is called by its id; give one of them")
	}
	p.reserved = []string{"content-type", "idempotency-key", "fn-invoke-type"}
	p.write = func(m *message) error {
		if !wait {
			m.header.Set("Fn-Invoke-Type", "detached")
		}
		return writeData(m)
	}
	p.url, err = called(c, "/invoke/")
	return p, err
})

// picassoRow: a route of Picasso, "app/route"; with a project (namespace) the
// private one.
var picassoRow = httpKind("function namespace token", func(c *TargetConfig) (*preset, error) {
	p := &preset{class: missingHolds(nil, "the route is not there")}
	before := "/r/"
	if c.Namespace != "" {
		before = "/v1/r/" + rfc3986(c.Namespace) + "/"
	}
	var urlErr, authErr error
	p.url, urlErr = called(c, before)
	p.auth, authErr = newHeaderToken(c, "X-Auth-Token", "")
	return p, errors.Join(urlErr, authErr)
})

// openLambdaRow: a function of OpenLambda.
var openLambdaRow = httpKind("function"+authOptions, func(c *TargetConfig) (*preset, error) {
	p := &preset{class: missingHolds(nil, "the function is not there")}
	var err error
	p.url, err = called(c, "/run/")
	return p, err
})

// nuclioRow: a function of Nuclio by its dashboard, or, without its name, by
// the port of its HTTP trigger.
var nuclioRow = httpKind("path function namespace invoke_url"+authOptions, func(c *TargetConfig) (*preset, error) {
	p := &preset{path: c.Path, class: missingHolds(nil, "the function is not there")}
	var err error
	if c.Function == "" {
		if c.Namespace+c.InvokeURL != "" {
			return nil, mistake("function", "is missing; namespace and invoke_url tell the dashboard about it")
		}
		p.url, err = place(c, "", "")
		return p, err
	}
	if c.InvokeURL != "" {
		_, err = checkURL("invoke_url", c.InvokeURL)
	}
	p.reserved = []string{"content-type", "idempotency-key", "x-nuclio-"}
	p.write = func(m *message) error {
		h := m.header
		h.Set("X-Nuclio-Function-Name", encodeHeader(c.Function))
		h.Set("X-Nuclio-Function-Namespace", encodeHeader(cmp.Or(c.Namespace, "nuclio")))
		if c.InvokeURL != "" {
			h.Set("X-Nuclio-Invoke-Url", c.InvokeURL)
		}
		if m.path != "" {
			h.Set("X-Nuclio-Path", m.path)
			m.path = ""
		}
		if c.Timeout > 0 {
			h.Set("X-Nuclio-Invoke-Timeout", c.Timeout.String())
		}
		return writeData(m)
	}
	at, err2 := place(c, "", "/api/function_invocations")
	p.url = at
	return p, errors.Join(err, err2)
})

// kubelessRow: a function of Kubeless by its service, or by the API server's
// proxy. Both want the slash at the end: without it they redirect, and the
// body is lost.
var kubelessRow = httpKind("namespace"+authOptions, func(c *TargetConfig) (*preset, error) {
	p := &preset{
		reserved: []string{"content-type", "event-"},
		class: missingHolds(func(a *answer) bool { // the API server's own failures are objects of Kubernetes
			return a.status == http.StatusInternalServerError && !a.hasField("apiVersion")
		}, "the function is not there"),
	}
	p.write = func(m *message) error {
		h := m.header
		h.Set("Event-Id", encodeHeader(m.event.ID))
		h.Set("Event-Type", encodeHeader(m.event.Type))
		h.Set("Event-Time", m.event.Time.UTC().Format(eventTime))
		h.Set("Event-Namespace", encodeHeader(cmp.Or(c.Namespace, "skerry")))
		return writeBare(m)
	}
	var err error
	p.url, err = place(c, "", "/")
	return p, err
})

// hookioRow: a hook of hook.io, "owner/hook".
var hookioRow = httpKind("path function token", func(c *TargetConfig) (*preset, error) {
	p := &preset{path: c.Path, class: missingHolds(nil, "the hook is not there")}
	if strings.Count(c.Function, "/") != 1 {
		return nil, mistake("function", "is owner/hook, not %.80q", c.Function)
	}
	name, err := escapeName("function", c.Function)
	if err != nil {
		return nil, err
	}
	var authErr error
	p.url, err = place(c, "https://hook.io", "/"+name)
	p.auth, authErr = newHeaderToken(c, "Hook_private_key", "")
	return p, errors.Join(err, authErr)
})

// webtaskRow: a webtask by its URL.
var webtaskRow = httpKind("path token", func(c *TargetConfig) (*preset, error) {
	p := &preset{path: c.Path, class: webtaskClass}
	var urlErr, authErr error
	p.url, urlErr = place(c, "", "")
	p.auth, authErr = newHeaderToken(c, "Authorization", "Bearer ")
	return p, errors.Join(urlErr, authErr)
})

// webtaskClass tells what the script said from what its host says.
func webtaskClass(a *answer) (Class, string) {
	returned := a.status == http.StatusBadRequest && bytes.Contains(a.body, []byte("Script returned an error."))
	threw := a.status == http.StatusInternalServerError && bytes.Contains(a.body, []byte("unhandled synchronous exception"))
	if returned || threw {
		return FnError, ""
	}
	return missingHolds(nil, "the webtask is not there")(a)
}

// snafuRow: a function of Snafu, by its Lambda wire and without a signature.
// One that wants signatures is kind lambda with compat: snafu.
var snafuRow = httpKind("function", func(c *TargetConfig) (*preset, error) {
	if err := need("function", c.Function, "the function's name"); err != nil {
		return nil, err
	}
	p := &preset{reserved: []string{"content-type", "x-amz-"}, class: snafuClass, auth: noAuth{}}
	p.write = func(m *message) error {
		m.header.Set("X-Amz-Invocation-Type", "Event")
		if c.Payload != "" {
			return writeObject(m)
		}
		return m.writeJSON(newEnvelope(m.event))
	}
	at, err := place(c, "", "/2015-03-31/functions/"+rfc3986(c.Function)+"/invocations")
	p.url = at
	return p, err
})

// snafuClass knows what Snafu says where AWS says something else: 501 for
// everything that goes wrong, and 500 where a function raised.
func snafuClass(a *answer) (Class, string) {
	switch a.status {
	case http.StatusInternalServerError:
		return FnError, ""
	case http.StatusNotImplemented:
		if bytes.Contains(a.body, []byte("NotAuthenticated")) {
			return Hold, "it wants signatures: use kind lambda with compat: snafu"
		}
		return FnError, ""
	}
	return missingHolds(nil, "the function is not there")(a)
}
