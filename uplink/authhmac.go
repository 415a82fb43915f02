package uplink

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// signatureHeader is what carries signatures if auth_header names no other.
const signatureHeader = "X-Skerry-Signature"

// hmacAuth signs requests with a shared secret. The header holds
//
//	t=<Unix seconds>,v1=<lower-case hex of HMAC-SHA256>
//
// over the seconds, the method, the path with its query as it goes over the
// wire, each followed by a line feed, and the body as it is sent.
type hmacAuth struct {
	name   string // of the header
	secret *fresh[string]
	clock  farClock
}

func newHMAC(c *TargetConfig) (auth, error) {
	secret, err := newSecret("secret", c.Secret, c.SecretFile, nil)
	if err != nil {
		return nil, err
	}
	return &hmacAuth{name: cmp.Or(c.AuthHeader, signatureHeader), secret: secret, clock: farClock{now: c.Now}}, nil
}

func (h *hmacAuth) apply(_ context.Context, r *outgoing) error {
	u, err := url.Parse(r.url)
	if err != nil {
		return refuse("the URL that this event leads to cannot be read")
	}
	at := strconv.FormatInt(h.clock.time().Unix(), 10)
	m := hmac.New(sha256.New, []byte(h.secret.get()))
	m.Write([]byte(at + "\n" + r.method + "\n" + u.RequestURI() + "\n"))
	m.Write(r.body)
	r.header.Set(h.name, "t="+at+",v1="+hex.EncodeToString(m.Sum(nil)))
	return nil
}

func (h *hmacAuth) again(r *outgoing, a *answer) bool {
	at, _, _ := strings.Cut(strings.TrimPrefix(r.header.Get(h.name), "t="), ",")
	seconds, err := strconv.ParseInt(at, 10, 64)
	return err == nil && h.clock.set(a.header, time.Unix(seconds, 0))
}

func (h *hmacAuth) header() string    { return h.name }
func (h *hmacAuth) secrets() []string { return []string{h.secret.get()} }
func (h *hmacAuth) note() string      { return noteOf("secret_file", h.secret) }

// farClock is the far side's clock, as its answers tell it. A gateway without a
// battery-backed clock starts in the past, and what it signs then is refused.
type farClock struct {
	now  func() time.Time // ours; nil: time.Now
	skew atomic.Int64     // theirs minus ours, ns
}

func (c *farClock) ours() time.Time {
	if c.now != nil {
		return c.now()
	}
	return time.Now()
}

func (c *farClock) time() time.Time { return c.ours().Add(time.Duration(c.skew.Load())) }

// maxSkew is well within the 5 minutes by which AWS lets a signature be off.
const maxSkew = 2 * time.Minute

// set takes over the Date of a refusal when it is far from the time that was
// signed with, and tells whether signing again can help: also after another
// request set the clock meanwhile.
func (c *farClock) set(h http.Header, signed time.Time) bool {
	theirs, err := http.ParseTime(h.Get("Date"))
	if err != nil || theirs.Sub(signed).Abs() <= maxSkew {
		return false
	}
	c.skew.Store(int64(theirs.Sub(c.ours())))
	return true
}
