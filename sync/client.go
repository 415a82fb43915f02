package fleetsync

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

const (
	firstRetry    = 100 * time.Millisecond
	slowestRetry  = 10 * time.Second
	longestWait   = time.Minute    // obeyed within a round when Retry-After says so; a longer one ends the round
	longestBusy   = 24 * time.Hour // obeyed at all: no answer may make a device wait until somebody comes
	connectWithin = 15 * time.Second
	answerWithin  = 60 * time.Second
)

// newClient is an HTTP client that retries what may pass (refused connections,
// 429 with Retry-After, 5xx), and authenticates as the docker configuration
// says. Sent is told of body bytes as they leave; it may be nil.
func newClient(opts RegistryOptions, sent func(n int64)) (*auth.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if transport.DialContext = opts.Dial; opts.Dial == nil {
		transport.DialContext = (&net.Dialer{Timeout: connectWithin, KeepAlive: 30 * time.Second}).DialContext
	}
	transport.ResponseHeaderTimeout = answerWithin
	if transport.TLSClientConfig = opts.TLS.Clone(); opts.Now != nil {
		transport.DialTLSContext = (&tlsDialer{transport.DialContext, opts.TLS, opts.Now}).connect
	}
	transport.ForceAttemptHTTP2 = true

	rc := retryablehttp.NewClient()
	rc.Logger = nil // causes are logged once by the puller
	rc.RetryMax, rc.RetryWaitMin, rc.RetryWaitMax = opts.Retries, firstRetry, slowestRetry
	rc.CheckRetry = retryable
	rc.ErrorHandler = retryablehttp.PassthroughErrorHandler
	rc.HTTPClient = &http.Client{
		Transport: &meter{next: transport, sent: sent},
		// auth.Client follows redirects itself and drops credentials on the way
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	client := &auth.Client{Client: rc.StandardClient(), Cache: auth.NewCache()}
	client.SetUserAgent("skerry")
	return client, withCredentials(client, opts.Credentials)
}

// withCredentials reads the docker configuration, that in file or the usual one, now
// and each time that a registry asks: a password that was changed counts without a new
// start. Without a home directory, as for a system service, there is no usual one, and
// access is anonymous.
func withCredentials(client *auth.Client, file string) error {
	read := func() (credentials.Store, error) { return credentials.NewStore(file, credentials.StoreOptions{}) }
	if file == "" {
		if _, err := os.UserHomeDir(); err != nil && os.Getenv("DOCKER_CONFIG") == "" {
			return nil
		}
		read = func() (credentials.Store, error) { return credentials.NewStoreFromDocker(credentials.StoreOptions{}) }
	}
	if _, err := read(); err != nil {
		return err
	}
	client.Credential = func(ctx context.Context, host string) (auth.Credential, error) {
		store, err := read()
		if err != nil {
			return auth.EmptyCredential, fmt.Errorf("read the docker configuration: %w", err)
		}
		return credentials.Credential(store)(ctx, host)
	}
	return nil
}

// retryable leaves a registry alone that asks for more patience than a round has.
func retryable(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if resp != nil && retryAfter(resp) > longestWait {
		return false, nil
	}
	return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
}

// busyError is a registry that wants no request for so long.
type busyError struct {
	error
	pause time.Duration
}

func (e *busyError) Unwrap() error { return e.error }

// retryAfter is the pause that an answer asks for, 0 if it asks for none.
func retryAfter(resp *http.Response) time.Duration {
	text := resp.Header.Get("Retry-After")
	if text == "" || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(longestBusy/time.Second))) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now := time.Now()
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		now = date // by the registry's clock: this device's may be wrong
	}
	return min(max(at.Sub(now), 0), longestBusy)
}

// meter counts the bytes of request bodies as they leave, and takes those of
// failed requests back.
type meter struct {
	next http.RoundTripper
	sent func(n int64)
}

func (m *meter) RoundTrip(req *http.Request) (*http.Response, error) {
	if m.sent == nil || req.Body == nil || req.Method != http.MethodPut {
		return m.next.RoundTrip(req)
	}
	body := &meteredBody{ReadCloser: req.Body, sent: m.sent}
	req = req.Clone(req.Context())
	req.Body, req.GetBody = body, nil
	resp, err := m.next.RoundTrip(req)
	if err != nil || resp.StatusCode >= 300 {
		m.sent(-body.n)
	}
	return resp, err
}

type meteredBody struct {
	io.ReadCloser
	sent func(n int64)
	n    int64
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	b.sent(int64(n))
	return n, err
}
