package agent

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// HTTPRequest is an outbound request of a function. It stands outside of the
// transaction: it happens at once, and again when the event is run again, under
// the same IdempotencyKey.
type HTTPRequest struct {
	Method         string
	URL            string // http or https
	Header         []HTTPField
	Body           []byte
	IdempotencyKey string      // event id, function and number of the request
	Grants         []HTTPGrant // what the function may reach; redirects too
}

// HTTPField is one line of a header.
type HTTPField struct{ Name, Value string }

// HTTPResponse is the answer, body and all.
type HTTPResponse struct {
	Status int
	Header []HTTPField
	Body   []byte
}

// Fetcher makes outbound requests. It resolves names itself and connects only
// to addresses that the grants allow. Errors wrap ErrDenied, ErrLimit (size of
// the answer, budget of the link) or ErrInvalid, or tell why nothing came back.
type Fetcher interface {
	Fetch(ctx context.Context, r *HTTPRequest) (*HTTPResponse, error)
}

// HTTPGrant is one entry of permissions.http: where a function may connect to.
type HTTPGrant struct {
	Scheme  string       // "http" or "https"; "" allows https only
	Host    string       // "api.example.com", "*.example.com" or an address; "" for a network
	Port    uint16       // 0: the scheme's own
	Network netip.Prefix // private addresses that granted names may resolve to
}

// ParseHTTPGrant reads "api.example.com", "*.example.com", "https://host:8443",
// "http://192.168.7.20:8080", or a network such as "10.2.0.0/16" which lets
// granted names resolve to private addresses within it.
func ParseHTTPGrant(text string) (HTTPGrant, error) {
	if network, err := netip.ParsePrefix(text); err == nil {
		return HTTPGrant{Network: network.Masked()}, nil
	}
	bad := fmt.Errorf("http permission %.80q: want a host (api.example.com, *.example.com, http://10.0.0.5:8080) or a network (10.0.0.0/8): %w", text, ErrInvalid)
	rest, g := text, HTTPGrant{}
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		if scheme != "http" && scheme != "https" {
			return g, bad
		}
		g.Scheme, rest = scheme, after
	}
	u, err := url.Parse("//" + rest)
	if err != nil || u.Host != rest || u.User != nil || u.Hostname() == "" {
		return g, bad
	}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return g, bad
		}
		g.Port = uint16(n)
	}
	g.Host = strings.ToLower(u.Hostname())
	if strings.Contains(strings.TrimPrefix(g.Host, "*."), "*") || strings.ContainsAny(g.Host, " %") {
		return g, bad
	}
	return g, nil
}

// Allows tells whether the grant covers a request to u. Networks cover nothing
// by themselves: they only say which addresses names may resolve to.
func (g *HTTPGrant) Allows(u *url.URL) bool {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	switch {
	case g.Host == "" || u.Scheme != g.scheme():
		return false
	case portOf(u) != g.port():
		return false
	}
	if domain, ok := strings.CutPrefix(g.Host, "*."); ok {
		return strings.HasSuffix(host, "."+domain)
	}
	return host == g.Host
}

func (g *HTTPGrant) scheme() string {
	if g.Scheme == "" {
		return "https"
	}
	return g.Scheme
}

func (g *HTTPGrant) port() uint16 {
	switch {
	case g.Port != 0:
		return g.Port
	case g.Scheme == "http":
		return 80
	}
	return 443
}

func portOf(u *url.URL) uint16 {
	switch p := u.Port(); {
	case p != "":
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return 0
		}
		return uint16(n)
	case u.Scheme == "http":
		return 80
	}
	return 443
}

// maxRequests bounds the outbound requests of one run.
const maxRequests = 16

// Fetch makes an outbound request, if the function was granted its host. The
// answer is the caller's.
func (inv *Invocation) Fetch(ctx context.Context, r *HTTPRequest) (*HTTPResponse, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("request to %.80q: %w", r.URL, ErrInvalid)
	}
	granted := false
	for i := range inv.grants {
		granted = granted || inv.grants[i].Allows(u)
	}
	switch {
	case !granted:
		return nil, inv.deny(fmt.Sprintf("request to %s://%s", u.Scheme, u.Host))
	case inv.outside.Fetch == nil:
		return nil, fmt.Errorf("request to %s: this agent makes no outbound requests: %w", u.Host, ErrDenied)
	case inv.requests >= maxRequests:
		return nil, fmt.Errorf("more than %d requests in one run: %w", maxRequests, ErrLimit)
	}
	r.IdempotencyKey = inv.Event.ID + "/" + inv.Function.Name + "/" + strconv.Itoa(inv.requests)
	r.Grants = inv.grants
	inv.requests++
	return inv.outside.Fetch.Fetch(ctx, r)
}
