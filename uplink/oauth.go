package uplink

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// tokens keeps a bearer token that somebody gives for a while. It is asked for
// again before it expires, by one request at a time; until then, and while that
// fails, the old one serves.
type tokens struct {
	ask func(ctx context.Context) (token, error) // the error is an *Error

	gate  chan struct{} // holds one: the right to ask
	mu    sync.Mutex
	token token
	tries int   // answered requests
	last  error // of them
}

// token is worth something until it ends.
type token struct {
	value   string
	renewAt time.Time // by the monotonic clock, as ends: the wall clock may be wrong
	ends    time.Time
}

func newTokens(ask func(context.Context) (token, error)) *tokens {
	return &tokens{ask: ask, gate: make(chan struct{}, 1)}
}

// newToken is a token that was given for so long.
func newToken(value string, lasts time.Duration) token {
	now := time.Now()
	return token{value, now.Add(lasts - min(lasts/5, 5*time.Minute)), now.Add(lasts)}
}

// get is a token that serves. Whoever waited while somebody else asked takes
// over what came of it.
func (t *tokens) get(ctx context.Context) (string, error) {
	now, tries, _ := t.now()
	if time.Now().Before(now.renewAt) {
		return now.value, nil
	}
	select {
	case t.gate <- struct{}{}:
		defer func() { <-t.gate }()
	case <-ctx.Done():
		return "", transportError(ctx.Err())
	}
	now, since, last := t.now()
	switch {
	case time.Now().Before(now.renewAt):
		return now.value, nil
	case since > tries && last != nil && time.Now().After(now.ends):
		return "", last
	case since > tries && last != nil:
		return now.value, nil
	}
	next, err := t.ask(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tries++
	t.last = err
	left := time.Until(t.token.ends)
	switch {
	case err == nil:
		t.token = next
	case left <= 0:
		return "", err
	default:
		t.token.renewAt = time.Now().Add(min(left/2, tokenPause))
	}
	return t.token.value, nil
}

// tokenPause is how long nobody asks after that failed, while a token serves.
const tokenPause = 30 * time.Second

func (t *tokens) now() (token, int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token, t.tries, t.last
}

// bearer puts a token that serves into a request.
func (t *tokens) bearer(ctx context.Context, r *outgoing) error {
	value, err := t.get(ctx)
	if err == nil {
		r.header.Set("Authorization", "Bearer "+value)
	}
	return err
}

func (t *tokens) header() string { return "Authorization" }

// drop forgets the token that r carried and that was refused. It tells whether
// the next try has another one.
func (t *tokens) drop(r *outgoing, a *answer) bool {
	if a.status != http.StatusUnauthorized {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.header.Get("Authorization") == "Bearer "+t.token.value {
		t.token = token{}
	}
	return true
}

// oauth gets tokens by client credentials (RFC 6749, 4.4).
type oauth struct {
	*tokens
	sender *sender
	url    string
	id     string
	secret *fresh[string]
	form   url.Values
	inBody atomic.Bool // the token endpoint wants id and secret in the form
}

func newOAuth(c *TargetConfig, s *sender) (auth, error) {
	to, err := checkURL("token_url", c.TokenURL)
	if err != nil {
		return nil, err
	}
	secret, err := newSecret("secret", c.Secret, c.SecretFile, nil)
	if err != nil {
		return nil, err
	}
	o := &oauth{sender: s, url: to, id: c.ClientID, secret: secret, form: url.Values{"grant_type": {"client_credentials"}}}
	if c.Scope != "" {
		o.form.Set("scope", c.Scope)
	}
	if c.Audience != "" {
		o.form.Set("audience", c.Audience)
	}
	o.tokens = newTokens(o.request)
	return o, nil
}

// request asks for a token. Id and secret go as Basic, as the RFC wants every
// server to take them; one that does not gets them in the form.
func (o *oauth) request(ctx context.Context) (token, error) {
	inBody := o.inBody.Load()
	a, err := o.post(ctx, inBody)
	if err == nil && (a.status == http.StatusUnauthorized || a.status == http.StatusBadRequest) && oauthError(a.body) == "invalid_client" {
		second, err := o.post(ctx, !inBody)
		if err == nil && second.status == http.StatusOK {
			o.inBody.Store(!inBody)
			a = second
		}
	}
	return granted(a, err, "access_token")
}

// granted is the token that a token endpoint answered with in a field, or why it
// gave none.
func granted(a *answer, err error, field string) (token, error) {
	if err != nil {
		return token{}, tokenFailed(err)
	}
	if a.status != http.StatusOK {
		return token{}, tokenFailed(a.verdict(classOfToken(a.status)))
	}
	t, err := parseToken(a.body, field)
	if err != nil {
		return token{}, tokenFailed(&Error{Class: Hold, Status: a.status, Reason: err.Error()})
	}
	return t, nil
}

// ask posts a form to a token endpoint; authorization may be empty.
func ask(ctx context.Context, s *sender, to, authorization string, form url.Values) (*answer, error) {
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}, "User-Agent": {"skerry"}}
	if authorization != "" {
		h.Set("Authorization", authorization)
	}
	return s.do(ctx, http.MethodPost, to, h, []byte(form.Encode()))
}

func (o *oauth) post(ctx context.Context, inBody bool) (*answer, error) {
	if !inBody {
		return ask(ctx, o.sender, o.url, o.basic(), o.form)
	}
	form := maps.Clone(o.form)
	form.Set("client_id", o.id)
	form.Set("client_secret", o.secret.get())
	return ask(ctx, o.sender, o.url, "", form)
}

// classOfToken is what an answer of a token endpoint other than 200 means: what
// it refuses is this gateway, never a record.
func classOfToken(status int) Class {
	if c := classOfStatus(status); c == Retry && status != http.StatusNotFound {
		return Retry
	}
	return Hold
}

// tokenFailed says what failed.
func tokenFailed(err error) error {
	e := *asError(err)
	e.Reason, e.Away = "token: "+e.Reason, true
	return &e
}

// oauthError is the error code of an answer, "" for none.
func oauthError(body []byte) string {
	var said struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(body, &said) // what is no JSON has no code
	return said.Error
}

const (
	defaultTokenLife = 5 * time.Minute // of tokens that do not say
	maxTokenLife     = 24 * time.Hour
)

// parseToken reads a token endpoint's answer, a stranger's bytes. The error is
// a sentence without any of them.
func parseToken(body []byte, field string) (token, error) {
	var said map[string]json.RawMessage
	if json.Unmarshal(body, &said) != nil {
		return token{}, fmt.Errorf("the answer is no JSON object of %d bytes or less", maxAnswer)
	}
	var value, kind string
	if json.Unmarshal(said[field], &value) != nil || value == "" || strings.ContainsRune(value, ' ') || !validValue(value) {
		return token{}, fmt.Errorf("the answer has no %s that a header can carry", field)
	}
	if said["token_type"] != nil && json.Unmarshal(said["token_type"], &kind) == nil && !strings.EqualFold(kind, "bearer") {
		return token{}, fmt.Errorf("the answer has a token that is no bearer token")
	}
	return newToken(value, tokenLife(said["expires_in"])), nil
}

// tokenLife reads expires_in: seconds, as a number or, as some say it, a text.
func tokenLife(raw json.RawMessage) time.Duration {
	seconds, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || !(seconds >= 1) { // NaN too
		return defaultTokenLife
	}
	return time.Duration(min(seconds, maxTokenLife.Seconds()) * float64(time.Second))
}

func (o *oauth) apply(ctx context.Context, r *outgoing) error { return o.bearer(ctx, r) }
func (o *oauth) again(r *outgoing, a *answer) bool            { return o.drop(r, a) }
func (o *oauth) note() string                                 { return noteOf("secret_file", o.secret) }

func (o *oauth) secrets() []string {
	now, _, _ := o.now()
	return append(keysIn(o.url), now.value, o.secret.get(), strings.TrimPrefix(o.basic(), "Basic "))
}

func (o *oauth) basic() string {
	return basic(url.QueryEscape(o.id) + ":" + url.QueryEscape(o.secret.get()))
}
