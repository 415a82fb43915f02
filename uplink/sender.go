package uplink

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	defaultTimeout = 30 * time.Second
	maxHandshake   = 15 * time.Second
	maxAnswer      = 64 << 10 // bytes of an answer that are read, and of its headers
	quickRetries   = 2        // inside one attempt; the outbox does the real retrying
	quickPause     = 400 * time.Millisecond
	maxExcerpt     = 200 // bytes of an answer that go into a reason
)

// sender is the one HTTP client under every HTTP target.
type sender struct {
	client *retryablehttp.Client
	link   func(ctx context.Context, network, addr string) (net.Conn, error) // nil: dialer
	up     atomic.Int64
	silent atomic.Bool              // the last request got no answer in time
	hide   func(said string) string // takes secrets out of what the far side said; nil: there are none
	note   func() string            // what people should know of certificates, "" for nothing
	final  []int                    // statuses with which a function says that it ran and failed
}

// answer is what the far side said. A body beyond maxAnswer is cut.
type answer struct {
	status int
	header http.Header
	body   []byte
	hide   func(said string) string // as of its sender
	sent   http.Header              // of the request
}

// newSender takes the files of certificates, the timeout and the link.
func newSender(c *TargetConfig) (*sender, error) {
	if c.Timeout < 0 {
		return nil, mistake("timeout", "%s is negative; give a duration such as 30s", c.Timeout)
	}
	conf, note, err := tlsFiles{c.CAFile, c.CertFile, c.KeyFile}.config()
	if err != nil {
		return nil, err
	}
	timeout := cmp.Or(c.Timeout, defaultTimeout)
	s := &sender{note: note, link: c.Dial, final: c.FnErrorStatuses}
	s.client = &retryablehttp.Client{
		HTTPClient: &http.Client{
			Timeout:       timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				DialContext:            s.dial,
				TLSClientConfig:        conf,
				ForceAttemptHTTP2:      true,
				HTTP2:                  &http.HTTP2Config{WriteByteTimeout: timeout},
				TLSHandshakeTimeout:    min(maxHandshake, timeout),
				MaxResponseHeaderBytes: maxAnswer,
				IdleConnTimeout:        90 * time.Second,
				MaxIdleConnsPerHost:    64,
			},
		},
		RetryMax:     quickRetries,
		CheckRetry:   s.retryQuickly,
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return rand.N(quickPause) },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return s, nil
}

// BytesUp is what was written to the wire: headers, bodies, TLS.
func (s *sender) BytesUp() int64 { return s.up.Load() }

// retryQuickly bridges hiccups that are over in a moment. A far side that
// hangs, asks for a pause or shows a wrong certificate is the outbox's matter,
// and a 502 or 504 may come after a function ran.
func (s *sender) retryQuickly(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	var op *net.OpError
	if err != nil {
		return !isTimeout(err) && (errors.As(err, &op) || errors.Is(err, io.EOF)), nil
	}
	busy := resp.StatusCode == http.StatusServiceUnavailable && !slices.Contains(s.final, resp.StatusCode)
	return busy && resp.Header.Get("Retry-After") == "", nil
}

// do sends one request and reads the answer. Every error is a Retry.
func (s *sender) do(ctx context.Context, method, to string, header http.Header, body []byte) (*answer, error) {
	req, err := retryablehttp.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return nil, transportError(err)
	}
	req.Header = header
	if s.silent.Load() { // else one of HTTP/2 serves until the kernel gives it up, a quarter of an hour later
		s.client.HTTPClient.CloseIdleConnections()
	}
	resp, err := s.client.Do(req)
	s.silent.Store(isTimeout(err))
	if err != nil {
		return nil, transportError(err)
	}
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode, header: resp.Header, hide: s.hide, sent: header}
	if resp.ContentLength == 0 {
		return a, nil // most say no more; nothing is to be read
	}
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return nil, transportError(fmt.Errorf("answer %d was cut off: %w", a.status, err))
	}
	return a, nil
}

// transportError names what went wrong without the URL, which may hold a key.
func transportError(err error) *Error {
	cause := err
	var u *url.Error
	if errors.As(err, &u) {
		cause = u.Err
	}
	reason := cause.Error()
	var cert x509.CertificateInvalidError
	switch {
	case errors.As(err, &cert) && cert.Reason == x509.Expired:
		reason = "the certificate is not valid now (" + reason + "); if the gateway's clock is wrong, wait for it to be set"
	case isTimeout(err):
		reason = "no answer in time (" + reason + ")"
	}
	return &Error{Class: Retry, Reason: reason, Err: cause, Away: neverReached(err)}
}

// neverReached tells errors that came before a request went out.
func neverReached(err error) bool {
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") || errors.As(err, &cert)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// verdict makes an answer an error, nil for Delivered.
func (a *answer) verdict(class Class) error {
	if class == Delivered {
		return nil
	}
	return &Error{
		Class:      class,
		Status:     a.status,
		Reason:     a.reason(),
		RetryAfter: retryAfter(a.header, time.Now()),
	}
}

// class reads an answer that needs no more knowledge than HTTP and the headers
// in which Lambda and the Functions Framework say that a function failed.
func (a *answer) class() Class {
	google := a.header.Get("X-Google-Status")
	crashed := google == "crash" && a.status == http.StatusInternalServerError // with 400 the function did not run
	if a.header.Get("X-Amz-Function-Error") != "" || google == "error" || crashed {
		return FnError
	}
	return classOfStatus(a.status)
}

// reason is the status and the beginning of the answer, in one line.
func (a *answer) reason() string {
	text := fmt.Sprintf("answered %d %s", a.status, http.StatusText(a.status))
	if a.status >= 300 && a.status < 400 {
		return text + "; redirects are not followed, give the final URL (a captive portal answers like this too)"
	}
	if said := a.excerpt(string(a.body)); said != "" {
		text += ": " + said
	}
	return text
}

// excerpt is the beginning of what the far side said, in one line and without
// secrets of ours.
func (a *answer) excerpt(said string) string {
	if a.hide != nil {
		said = a.hide(said)
	}
	text := strings.ToValidUTF8(said[:min(len(said), maxExcerpt)], "")
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
}
