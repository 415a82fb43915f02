package agent

import (
	"context"
	"errors"
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
	Function       string // that asks, "app/function"
	Method         string
	URL            string // http or https
	Header         []HTTPField
	Body           []byte      // until Fetch returns: it is memory of the function
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
	Host    string       // "api.example.com", "*.example.com" or an address, as canonicalHost spells it; "" for a network
	Port    uint16       // 0: the scheme's own
	Network netip.Prefix // addresses that are not public and that granted names may resolve to
}

// ParseHTTPGrant reads "api.example.com", "*.example.com", "https://host:8443",
// "http://192.168.7.20:8080", or a network such as "10.2.0.0/16" which lets
// granted names resolve to private addresses within it. Errors wrap ErrInvalid.
func ParseHTTPGrant(text string) (HTTPGrant, error) {
	if network, err := netip.ParsePrefix(text); err == nil {
		return networkGrant(network)
	}
	bad := fmt.Errorf("http permission %.80q: want a host (api.example.com, *.example.com, http://10.0.0.5:8080) or a network (10.0.0.0/8): %w", text, ErrInvalid)
	rest, g := text, HTTPGrant{}
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		if scheme != "http" && scheme != "https" {
			return HTTPGrant{}, bad
		}
		g.Scheme, rest = scheme, after
	}
	u, err := url.Parse("//" + rest)
	if err != nil || u.Host != rest || u.User != nil || strings.HasSuffix(rest, ":") {
		return HTTPGrant{}, bad
	}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return HTTPGrant{}, bad
		}
		g.Port = uint16(n)
	}
	domain, wild := strings.CutPrefix(u.Hostname(), "*.")
	host, ok := canonicalHost(domain)
	if !ok || wild && (isAddr(host) || !strings.Contains(host, ".")) {
		return HTTPGrant{}, bad
	}
	if g.Host = host; wild {
		g.Host = "*." + host
	}
	return g, nil
}

// The widest networks that can be granted: 10.0.0.0/8 and fc00::/7. A wider one
// is a slip of the pen that would open the whole gateway.
const (
	widest4 = 8
	widest6 = 7
)

func networkGrant(network netip.Prefix) (HTTPGrant, error) {
	widest := widest4
	if network.Addr().Is6() {
		widest = widest6
	}
	switch {
	case network.Addr().Is4In6():
		return HTTPGrant{}, fmt.Errorf("http permission %q: write it as an IPv4 network, such as 10.0.0.0/8: %w", network, ErrInvalid)
	case network != network.Masked():
		return HTTPGrant{}, fmt.Errorf("http permission %q: that network is %s, write that or a longer prefix: %w", network, network.Masked(), ErrInvalid)
	case network.Bits() < widest:
		return HTTPGrant{}, fmt.Errorf("http permission %q: that is too much, at most /%d can be granted: %w", network, widest, ErrInvalid)
	}
	return HTTPGrant{Network: network}, nil
}

// Allows tells whether the grant covers a request to u. Networks cover nothing
// by themselves: they only say which addresses names may resolve to. A wildcard
// covers names of any depth below its domain, not the domain itself.
func (g *HTTPGrant) Allows(u *url.URL) bool {
	host, ok := canonicalHost(u.Hostname())
	if !ok || g.Host == "" || u.User != nil || u.Scheme != g.scheme() || portOf(u) != g.port() {
		return false
	}
	if domain, ok := strings.CutPrefix(g.Host, "*."); ok {
		return strings.HasSuffix(host, "."+domain)
	}
	return host == g.Host
}

const (
	maxHost  = 253 // bytes of a name
	maxLabel = 63  // bytes of one of its labels
)

// canonicalHost returns the one spelling of a host that counts: an address as
// netip writes it, or a name in lower case. Whatever else somebody may take for
// an address (decimal, octal and hexadecimal numbers, zones, IPv4 in IPv6) or
// for the same name (a dot at its end, Unicode) is not ok.
func canonicalHost(host string) (canonical string, ok bool) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String(), ip.Zone() == "" && !ip.Is4In6()
	}
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if last = label; !isLabel(label) {
			return "", false
		}
	}
	number := strings.Trim(last, "0123456789") == "" || strings.HasPrefix(strings.ToLower(last), "0x")
	return strings.ToLower(host), len(host) <= maxHost && !number
}

func isAddr(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// isLabel tells whether s may stand between the dots of a name. Underscores
// are in no standard and in many names.
func isLabel(s string) bool {
	return s != "" && len(s) <= maxLabel && s[0] != '-' && s[len(s)-1] != '-' &&
		!strings.ContainsFunc(s, func(r rune) bool {
			letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
			return !letter && (r < '0' || r > '9') && r != '-' && r != '_'
		})
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
		return nil, fmt.Errorf("request: want a URL with http or https, a host and no user: %w", ErrInvalid) // without it: it may hold a key
	}
	to := u.Scheme + "://" + u.Host
	granted := false
	for i := range inv.grants {
		granted = granted || inv.grants[i].Allows(u)
	}
	switch {
	case !granted:
		return nil, inv.deny(fmt.Sprintf("request to %.120q", inv.mask(to)), "permissions.http")
	case inv.outside.Fetch == nil:
		return nil, fmt.Errorf("request to %.120q: this agent makes no outbound requests: %w", to, ErrDenied)
	case inv.requests >= maxRequests:
		return nil, fmt.Errorf("more than %d requests in one run: %w", maxRequests, ErrLimit)
	}
	r.Function = inv.Function.Name
	r.IdempotencyKey = inv.Event.ID + "/" + inv.Function.Name + "/" + strconv.Itoa(inv.requests)
	r.Grants = inv.grants
	inv.requests++
	resp, err := inv.outside.Fetch.Fetch(ctx, r)
	if errors.Is(err, ErrDenied) { // the address behind the name was not granted
		inv.Usage.refuse(inv.mask(strings.TrimSuffix(err.Error(), ": "+ErrDenied.Error())))
	}
	return resp, err
}
