package uplink

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

const (
	maxFetchURL    = 8 << 10   // bytes
	maxFetchHeader = 64 << 10  // bytes, of a request and of an answer
	maxFetchBody   = 256 << 10 // bytes of a request
)

var fetchMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut,
	http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// withheld are header lines that speak about the connection or the form of the
// message: they are the agent's. So is all that begins with "Proxy-".
var withheld = []string{
	"Connection", "Content-Length", "Expect", "Host", "Http2-Settings", "Keep-Alive",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// newFetch makes what a function asks for a request, with a body of its own.
// Errors wrap agent.ErrDenied, agent.ErrInvalid or agent.ErrLimit.
func newFetch(ctx context.Context, r *agent.HTTPRequest) (*http.Request, error) {
	u, err := url.Parse(r.URL)
	if err != nil { // not repeated: a URL may hold a key
		return nil, fmt.Errorf("the URL cannot be read, want such as https://api.example.com/path: %w", agent.ErrInvalid)
	}
	if err := checkFetchURL(u, r.URL, r.Grants); err != nil {
		return nil, err
	}
	if !slices.Contains(fetchMethods, r.Method) {
		return nil, fmt.Errorf("method %.40q, want one of %s: %w", r.Method, strings.Join(fetchMethods, ", "), agent.ErrInvalid)
	}
	if len(r.Body) > maxFetchBody {
		return nil, fmt.Errorf("a body of %d bytes, at most %d: %w", len(r.Body), maxFetchBody, agent.ErrLimit)
	}
	header, err := fetchHeader(r)
	if err != nil {
		return nil, err
	}
	// The transport may read the body a little longer than RoundTrip takes, and
	// the function's memory may be gone by then.
	req, err := http.NewRequestWithContext(withAsker(ctx), r.Method, u.String(), bytes.NewReader(bytes.Clone(r.Body)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, agent.ErrInvalid)
	}
	req.Header = header
	return req, nil
}

// checkFetchURL tells whether u, which was written as text, may be asked for.
func checkFetchURL(u *url.URL, text string, grants []agent.HTTPGrant) error {
	plain := !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f })
	switch {
	case len(text) > maxFetchURL:
		return fmt.Errorf("a URL of %d bytes, at most %d: %w", len(text), maxFetchURL, agent.ErrLimit)
	case !plain:
		return fmt.Errorf("the URL has spaces or other bytes that must be written as %%XX: %w", agent.ErrInvalid)
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil:
		return fmt.Errorf("want a URL with http or https, a host and no user: %w", agent.ErrInvalid)
	}
	if !slices.ContainsFunc(grants, func(g agent.HTTPGrant) bool { return g.Allows(u) }) {
		return fmt.Errorf("%.120q: add that to permissions.http of the function: %w", u.Scheme+"://"+u.Host, agent.ErrDenied)
	}
	return nil
}

// fetchHeader takes over the function's header lines and adds the agent's.
func fetchHeader(r *agent.HTTPRequest) (http.Header, error) {
	h := http.Header{}
	size := 0
	for _, field := range r.Header {
		name := http.CanonicalHeaderKey(field.Name)
		switch {
		case !validName(field.Name):
			return nil, fmt.Errorf("header name %.80q: want letters, digits and dashes: %w", field.Name, agent.ErrInvalid)
		case slices.Contains(withheld, name) || strings.HasPrefix(name, "Proxy-"):
			return nil, fmt.Errorf("header %s is set by the agent alone; leave it out: %w", name, agent.ErrInvalid)
		case !validValue(field.Value):
			return nil, fmt.Errorf("header %.80s: its value has a line end or another control character: %w", name, agent.ErrInvalid)
		}
		if size += len(field.Name) + len(field.Value) + len(": \r\n"); size > maxFetchHeader {
			return nil, fmt.Errorf("a header of more than %d bytes: %w", maxFetchHeader, agent.ErrLimit)
		}
		h.Add(name, field.Value)
	}
	defaults := map[string]string{"Idempotency-Key": encodeHeader(r.IdempotencyKey), "User-Agent": "skerry"}
	if inflates(r) {
		defaults["Accept-Encoding"] = "gzip"
	}
	for name, value := range defaults {
		if _, own := h[name]; !own {
			h.Set(name, value)
		}
	}
	return h, nil
}

// inflates tells whether the agent asks for gzip and the function sees none of
// it: not if the function names encodings itself, or counts their bytes.
func inflates(r *agent.HTTPRequest) bool {
	return r.Method != http.MethodHead && !slices.ContainsFunc(r.Header, func(f agent.HTTPField) bool {
		return strings.EqualFold(f.Name, "Accept-Encoding") || strings.EqualFold(f.Name, "Range")
	})
}

// again is req to another place.
func again(req *http.Request, to *url.URL) (*http.Request, error) {
	next := req.Clone(req.Context())
	next.URL, next.Host = to, to.Host
	var err error
	if req.GetBody != nil {
		next.Body, err = req.GetBody()
	}
	return next, err
}
