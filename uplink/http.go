package uplink

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// httpTarget sends what a preset says.
type httpTarget struct {
	*sender
	preset  preset
	auth    auth
	base    string // of the URL, before the query
	query   string // with its question mark
	path    *pathTemplate
	payload payload
	header  http.Header // of each request; must be cloned before use
	zip     bool
	trace   bool
	follow  func(ev *agent.Event) string
	dead    bool // what is refused is PERMANENT
}

// newHTTPTarget takes the options that all HTTP kinds share.
func newHTTPTarget(c *TargetConfig, p *preset) (Target, error) {
	t := &httpTarget{preset: *p, trace: c.Trace, follow: c.follow(), zip: c.Compress != ""}
	if t.preset.write == nil {
		t.preset.write = writeData
		t.preset.reserved = append(t.preset.reserved, "idempotency-key", "content-type")
	}
	t.preset.method = cmp.Or(p.method, http.MethodPost)
	var query bool
	if t.base, t.query, query = strings.Cut(p.url, "?"); query {
		t.query = "?" + t.query
	}
	var errs [6]error
	t.sender, errs[0] = newSender(c)
	t.auth, errs[1] = p.proof(c, t.sender)
	t.path, errs[2] = newPath(c, p.path)
	t.payload, errs[3] = newPayload(c, p.limit)
	t.header, errs[4] = staticHeaders(c.Headers, t.reserved())
	refused, err := oneOf("refused", c.Refused, "hold", "dead")
	errs[5] = errors.Join(err, checkCompress(c), checkStatuses(c))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	t.dead = refused == "dead"
	t.sender.hide = t.hide
	if c.Batch == 0 {
		return t, nil
	}
	return newBatch(t, c)
}

// reserved are the headers that the configuration may not have, as in preset.
func (t *httpTarget) reserved() []string {
	all := slices.Clone(t.preset.reserved)
	if t.auth != nil { // it made sense
		all = append(all, strings.ToLower(t.auth.header()))
	}
	if t.zip {
		all = append(all, "content-encoding")
	}
	if t.trace {
		all = append(all, strings.ToLower(traceHeader))
	}
	return all
}

// proof is the preset's auth, or that of the configuration.
func (p *preset) proof(c *TargetConfig, s *sender) (auth, error) {
	switch {
	case p.auth != nil:
		return p.auth, nil
	case p.login != nil:
		return p.login(s)
	}
	return newAuth(c, s)
}

func checkCompress(c *TargetConfig) error {
	if c.Compress != "" && c.Compress != "gzip" {
		return mistake("compress", "is gzip, not %.20q; remove it, or set it to gzip", c.Compress)
	}
	return nil
}

func checkStatuses(c *TargetConfig) error {
	for _, status := range c.FnErrorStatuses {
		if status < 400 || status > 599 {
			return mistake("fn_error_statuses", "holds %d: give statuses from 400 to 599 with which the function says that it failed", status)
		}
	}
	return nil
}

// Send implements Target.
func (t *httpTarget) Send(ctx context.Context, rec agent.Record) error {
	m, err := t.message(&rec)
	if err != nil {
		return err
	}
	return t.post(ctx, m)
}

// message is the request that rec becomes; the error is an *Error.
func (t *httpTarget) message(rec *agent.Record) (*message, error) {
	ev, err := t.payload.of(rec)
	if err != nil {
		return nil, err
	}
	m := &message{rec: rec, event: ev, trace: t.follow(&rec.Event), header: t.header.Clone()}
	if m.path, err = t.path.of(rec); err != nil {
		return nil, err
	}
	if t.trace {
		m.header.Set(traceHeader, TraceHeader(&rec.Event))
	}
	if m.trace != "" && m.header.Get(parentHeader) == "" {
		m.header.Set(parentHeader, m.trace)
	}
	if err := t.preset.write(m); err != nil || t.preset.limit == 0 {
		return m, err
	}
	return m, t.payload.check(len(m.body)) // what the far side counts
}

// post sends m and says what became of it.
func (t *httpTarget) post(ctx context.Context, m *message) error {
	a, err := t.exchange(ctx, m)
	if err != nil {
		return err
	}
	return t.verdict(a)
}

// exchange sends m, at most twice, and returns the last answer.
func (t *httpTarget) exchange(ctx context.Context, m *message) (*answer, error) {
	if t.zip {
		m.zip()
	}
	for second := false; ; second = true {
		r := &outgoing{t.preset.method, t.base + m.path + t.query, m.header.Clone(), m.body}
		if err := t.auth.apply(ctx, r); err != nil {
			return nil, err
		}
		a, err := t.do(ctx, r.method, r.url, r.header, r.body)
		if err != nil || second || !(a.refused() && t.auth.again(r, a) || t.preset.retry != nil && t.preset.retry(a, m)) {
			return a, err
		}
	}
}

// refused tells whether the far side does not take who asks.
func (a *answer) refused() bool { return refusesSender(a.status) }

func refusesSender(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

func (t *httpTarget) verdict(a *answer) error {
	class, hint := a.class(), ""
	if t.preset.class != nil {
		class, hint = t.preset.class(a)
	}
	switch {
	case slices.Contains(t.final, a.status):
		class, hint = FnError, ""
	case class == Hold && a.refused() && t.dead:
		class = Permanent
	}
	err := a.verdict(class)
	if e, ok := err.(*Error); ok && hint != "" {
		e.Reason += "; " + hint
	}
	return err
}

// Notes says what people should know beside errors.
func (t *httpTarget) Notes() []string {
	notes := []string{t.sender.note(), t.auth.note()}
	if t.preset.note != nil {
		notes = append(notes, t.preset.note())
	}
	return slices.DeleteFunc(notes, func(n string) bool { return n == "" })
}

// minSecret is how long what is hidden must be, bytes: less says nothing, and
// would hide half of each sentence.
const minSecret = 4

// minKey is how long a part of the path of a URL must be to look like a key, as
// those of webhooks do.
const minKey = 16

// keysIn are the parts of a URL that may be keys: values in its query, and parts
// of its path that are long.
func keysIn(raw string) []string {
	base, query, _ := strings.Cut(raw, "?")
	var keys []string
	for i, part := range strings.Split(base, "/") {
		if i > 2 && len(part) >= minKey { // behind the scheme and the host
			keys = append(keys, part)
		}
	}
	if values, err := url.ParseQuery(query); err == nil {
		for _, v := range values {
			keys = append(keys, v...)
		}
	}
	return keys
}

// hide takes out of what a far side said whatever is a secret of ours: some
// repeat the request in their answer.
func (t *httpTarget) hide(said string) string {
	secrets := t.auth.secrets()
	for name, values := range t.header {
		if name != "User-Agent" {
			secrets = append(secrets, values...)
		}
	}
	secrets = append(secrets, t.base)
	secrets = append(secrets, keysIn(t.base+t.query)...)
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // one may be a part of another
	for _, s := range secrets {
		if len(s) < minSecret {
			break
		}
		for _, form := range []string{s, url.QueryEscape(s), rfc3986(s)} {
			said = strings.ReplaceAll(said, form, "…")
		}
	}
	return said
}
