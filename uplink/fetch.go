package uplink

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/skerry-edge/skerry/agent"
)

const (
	maxFetches   = 32 // under way at once, per device
	maxRedirects = 3  // per request
)

// FetchOptions of a Fetcher; the zero value works.
type FetchOptions struct {
	CAFile   string        // PEM: trusted instead of the system's roots
	Resolver *net.Resolver // nil means the system's
	Link     *Meter        // what the requests go over, and must fit into; nil: they are not counted
}

// Fetcher makes the outbound requests of functions: HTTP/1.1 without proxies,
// cookies or caches, to granted places only. The address behind a name is
// checked when it is connected to, so that a name cannot lead elsewhere once it
// was looked at. It implements agent.Fetcher.
type Fetcher struct {
	pools    *pools
	link     *Meter
	slots    chan struct{}
	answered atomic.Int64
}

// NewFetcher returns a Fetcher that has connected to nothing yet.
func NewFetcher(opts FetchOptions) (*Fetcher, error) {
	conf, _, err := tlsFiles{ca: opts.CAFile}.config()
	if err != nil {
		return nil, err
	}
	return &Fetcher{pools: newPools(conf, opts.Resolver, opts.Link), link: opts.Link, slots: make(chan struct{}, maxFetches)}, nil
}

// Fetch makes one request within ctx, after waiting for a place among those
// under way. Redirects are followed within the same scheme, host and port, at
// most 3; any other is the answer itself. A request that the far side cut off
// on a connection kept from before may be sent twice, under the same
// Idempotency-Key.
func (f *Fetcher) Fetch(ctx context.Context, r *agent.HTTPRequest) (*agent.HTTPResponse, error) {
	req, err := newFetch(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	host := req.URL.Host
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("request to %s: %d others are under way: %w", host, maxFetches, ctx.Err())
	}
	size := requestSize(req, r)
	if err := f.admit(ctx, r.Function, size); err != nil {
		return nil, fmt.Errorf("request to %s: %w", host, err)
	}
	took := size
	defer func() { f.spent(r.Function, size, took) }()
	resp, err := f.follow(req, r.Grants)
	if err != nil {
		return nil, fmt.Errorf("request to %s: %w", host, fetchError(err))
	}
	defer resp.Body.Close()
	answer, err := readFetched(resp, inflates(r))
	took += answerSize(resp, answer)
	if err != nil {
		return nil, fmt.Errorf("request to %s: answer %d: %w", host, resp.StatusCode, fetchError(err))
	}
	f.answered.Add(1)
	return answer, nil
}

// follow sends req and what its redirects lead to.
func (f *Fetcher) follow(req *http.Request, grants []agent.HTTPGrant) (*http.Response, error) {
	pool := f.pools.of(grants)
	for hops := 0; ; hops++ {
		resp, err := pool.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		next := redirect(resp, req, grants)
		if next == nil || hops == maxRedirects {
			return resp, nil
		}
		discard(resp.Body)
		if req, err = again(req, next); err != nil {
			return nil, err
		}
	}
}

// redirect returns where an answer leads to, nil if it is not to be followed:
// POST and its like are repeated only if the far side says that they may be.
func redirect(resp *http.Response, req *http.Request, grants []agent.HTTPGrant) *url.URL {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			return nil
		}
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil
	}
	location := resp.Header.Get("Location")
	to, err := req.URL.Parse(location)
	if location == "" || err != nil || origin(to) != origin(req.URL) || checkFetchURL(to, to.String(), grants) != nil {
		return nil
	}
	return to
}

// origin is scheme, host and port, "https://api.example.com:443".
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// BytesUp is what was written to the wire for functions since start: headers,
// bodies, TLS.
func (f *Fetcher) BytesUp() int64 { return f.pools.up.Load() }

// BytesDown is what was read from it.
func (f *Fetcher) BytesDown() int64 { return f.pools.down.Load() }

// Status is what `skerry status` shows of the requests of functions, as if they
// were one target. ok is false while there were none.
func (f *Fetcher) Status() (s agent.TargetStatus, ok bool) {
	s = agent.TargetStatus{Name: "(functions)", Kind: "http", Delivered: f.answered.Load(), BytesUp: f.BytesUp()}
	return s, s.Delivered > 0 || s.BytesUp > 0
}
