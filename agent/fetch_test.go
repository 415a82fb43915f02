package agent_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

func TestParseHTTPGrant(t *testing.T) {
	for _, tt := range []struct {
		text string
		want agent.HTTPGrant // zero: refused
	}{
		{"api.example.com", agent.HTTPGrant{Host: "api.example.com"}},
		{"API.Example.com", agent.HTTPGrant{Host: "api.example.com"}},
		{"*.example.com", agent.HTTPGrant{Host: "*.example.com"}},
		{"https://api.example.com:8443", agent.HTTPGrant{Scheme: "https", Host: "api.example.com", Port: 8443}},
		{"http://192.168.7.20:8080", agent.HTTPGrant{Scheme: "http", Host: "192.168.7.20", Port: 8080}},
		{"http://[FD00:0::5]:80", agent.HTTPGrant{Scheme: "http", Host: "fd00::5", Port: 80}},
		{"http://plc_4", agent.HTTPGrant{Scheme: "http", Host: "plc_4"}},
		{"10.2.0.0/16", agent.HTTPGrant{Network: netip.MustParsePrefix("10.2.0.0/16")}},
		{"fc00::/7", agent.HTTPGrant{Network: netip.MustParsePrefix("fc00::/7")}},

		{text: ""},
		{text: "*"},
		{text: "*."},
		{text: "*.com"},
		{text: "*.*.example.com"},
		{text: "api.*.example.com"},
		{text: "*example.com"},
		{text: "*.0.0.1"}, // would cover 127.0.0.1
		{text: "*.10.0.0.5"},
		{text: "api.example.com."},
		{text: ".example.com"},
		{text: "api..example.com"},
		{text: "-api.example.com"},
		{text: "ftp://api.example.com"},
		{text: "HTTPS://api.example.com"},
		{text: "https://"},
		{text: "https://user@api.example.com"},
		{text: "api.example.com/path"},
		{text: "api.example.com?x"},
		{text: "api.example.com#x"},
		{text: "api.example.com:"},
		{text: "api.example.com:0"},
		{text: "api.example.com:65536"},
		{text: "api.example.com:http"},
		{text: "api example.com"},
		{text: "bücher.example"}, // only as xn--bcher-kva.example
		{text: "api%2eexample.com"},
		{text: "2130706433"},
		{text: "0177.0.0.1"},
		{text: "0x7f000001"},
		{text: "127.1"},
		{text: "127.0.0.1."},
		{text: "[::ffff:10.0.0.5]"},
		{text: "[fe80::1%25eth0]"},
		{text: "10.2.3.4/16"}, // 10.2.0.0/16, or a single address?
		{text: "0.0.0.0/0"},
		{text: "::/0"},
		{text: "::ffff:10.0.0.0/104"},
		{text: "http://10.0.0.0/8"},
		{text: strings.Repeat("a.", 127) + "example"},
		{text: strings.Repeat("a", 64) + ".example"},
	} {
		got, err := agent.ParseHTTPGrant(tt.text)
		if refuse := tt.want == (agent.HTTPGrant{}); got != tt.want || refuse != errors.Is(err, agent.ErrInvalid) {
			t.Errorf("ParseHTTPGrant(%q) = %+v, %v; want %+v", tt.text, got, err, tt.want)
		}
	}
}

func TestHTTPGrantAllows(t *testing.T) {
	for _, tt := range []struct {
		grant, url string
		want       bool
	}{
		{"api.example.com", "https://api.example.com/v1?q=1", true},
		{"api.example.com", "https://API.example.COM:443/", true},
		{"api.example.com", "http://api.example.com/", false}, // without TLS only by name
		{"api.example.com", "https://api.example.com:8443/", false},
		{"api.example.com", "https://api.example.com./", false},
		{"api.example.com", "https://example.com/", false},
		{"api.example.com", "https://api.example.com.evil.example/", false},
		{"api.example.com", "https://evil.example\\@api.example.com/", false},
		{"api.example.com", "https://user:pw@api.example.com/", false},
		{"api.example.com", "https://api.example.com@evil.example/", false},
		{"api.example.com", "https://evil.example/?api.example.com", false},
		{"api.example.com", "https://evil.example#@api.example.com", false},
		{"api.example.com", "https:api.example.com", false},
		{"api.example.com", "ws://api.example.com/", false},
		{"api.example.com", "https://api。example。com/", false}, // dots of another script
		{"api.example.com", "https://api%E3%80%82example.com/", false},
		{"kelvin.example", "https://\u212Aelvin.example/", false}, // lower case of U+212A is k
		{"api.example.com:8443", "https://api.example.com:8443/", true},
		{"api.example.com:8443", "https://api.example.com/", false},
		{"https://api.example.com:80", "http://api.example.com/", false},
		{"http://api.example.com", "http://api.example.com/", true},
		{"http://api.example.com", "http://api.example.com:65616/", false}, // 80 in 16 bits
		{"http://api.example.com", "https://api.example.com/", false},
		{"*.example.com", "https://api.example.com/", true},
		{"*.example.com", "https://a.b.example.com/", true},
		{"*.example.com", "https://example.com/", false},
		{"*.example.com", "https://evilexample.com/", false},
		{"*.example.com", "https://.example.com/", false},
		{"http://127.0.0.1", "http://127.0.0.1/", true},
		{"http://127.0.0.1", "http://2130706433/", false},
		{"http://127.0.0.1", "http://0x7f.0.0.1/", false},
		{"http://127.0.0.1", "http://0177.0.0.1/", false},
		{"http://127.0.0.1", "http://127.1/", false},
		{"http://127.0.0.1", "http://127.0.0.1./", false},
		{"http://127.0.0.1", "http://[::ffff:127.0.0.1]/", false},
		{"http://127.0.0.1", "http://[::ffff:7f00:1]/", false},
		{"http://127.0.0.1", "http://①②⑦.⓪.⓪.①/", false},
		{"http://[fd00::5]", "http://[FD00:0:0::5]/", true},
		{"http://[fe80::1]", "http://[fe80::1%25eth0]/", false},
		{"10.0.0.0/8", "https://10.0.0.5/", false}, // networks cover nothing by themselves
	} {
		g, err := agent.ParseHTTPGrant(tt.grant)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(tt.url)
		if got := err == nil && g.Allows(u); got != tt.want {
			t.Errorf("%q allows %q: %v, want %v", tt.grant, tt.url, got, tt.want)
		}
	}
}

// A grant never covers a URL that net/url, or a resolver, would read as another
// place than the grant's text says.
func FuzzHTTPGrant(f *testing.F) {
	f.Add("api.example.com", "https://api.example.com/")
	f.Add("*.example.com", "https://a.b.example.com:443/x")
	f.Add("http://127.0.0.1:80", "http://[::ffff:127.0.0.1]/")
	f.Add("http://[fd00::5]:8080", "http://[fd00:0::5]:8080/")
	f.Add("*.0.0.1", "https://127.0.0.1")
	f.Add("a.:1", "https://user@a.:1")
	f.Add("10.0.0.0/8", "https://10.0.0.0")
	f.Fuzz(func(t *testing.T, text, to string) {
		g, err := agent.ParseHTTPGrant(text)
		u, urlErr := url.Parse(to)
		if err != nil || urlErr != nil || !g.Allows(u) {
			return
		}
		scheme, rest, ok := strings.Cut(text, "://")
		if !ok {
			scheme, rest = "https", text
		}
		granted, err := url.Parse(scheme + "://" + rest)
		if err != nil {
			t.Fatalf("grant %q is no place: %v", text, err)
		}
		want, got := strings.ToLower(granted.Hostname()), strings.ToLower(u.Hostname())
		domain, wild := strings.CutPrefix(want, "*")
		switch ip, err := netip.ParseAddr(got); {
		case err == nil && netip.MustParseAddr(want) == ip:
		case err == nil || !wild && got != want, wild && (!strings.HasSuffix(got, domain) || len(got) <= len(domain)):
			t.Errorf("grant %q covers host %q of %q", text, got, to)
		}
		if u.Scheme != scheme || effectivePort(u) != effectivePort(granted) || u.User != nil || u.Opaque != "" {
			t.Errorf("grant %q covers %q", text, to)
		}
		if again, err := url.Parse(u.String()); err != nil || !g.Allows(again) {
			t.Errorf("grant %q covers %q, but not what is sent: %q, %v", text, to, u, err)
		}
	})
}

func effectivePort(u *url.URL) int {
	if u.Port() == "" {
		return map[string]int{"http": 80, "https": 443}[u.Scheme]
	}
	n, err := strconv.Atoi(u.Port())
	if err != nil {
		return -1
	}
	return n
}

// fetched is a Fetcher that notes what it is asked for.
type fetched struct {
	keys []string
	err  error
}

func (f *fetched) Fetch(_ context.Context, r *agent.HTTPRequest) (*agent.HTTPResponse, error) {
	f.keys = append(f.keys, r.IdempotencyKey)
	return &agent.HTTPResponse{Status: 200}, f.err
}

func fetchingRun(out agent.Outside) *agent.Invocation {
	inv := agent.NewInvocation(&agent.Function{
		Name: "app/fn", Permissions: agent.Permissions{HTTP: []string{"api.example.com", "10.0.0.0/8"}},
	}, nil, out)
	inv.Begin(&agent.Event{ID: "gw7/1"}, "app/t", 1)
	return inv
}

func TestInvocationFetch(t *testing.T) {
	f := &fetched{}
	inv := fetchingRun(agent.Outside{Fetch: f})
	get := func(to string) error {
		_, err := inv.Fetch(t.Context(), &agent.HTTPRequest{Method: "GET", URL: to})
		return err
	}
	for _, to := range []string{"", "/x", "ftp://api.example.com", "https:api.example.com", "https://canary@api.example.com/", "https://canary\x00"} {
		if err := get(to); !errors.Is(err, agent.ErrInvalid) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v, want ErrInvalid that does not repeat the URL", to, err)
		}
	}
	err := get("https://other.example:8443/x")
	if !errors.Is(err, agent.ErrDenied) || !strings.Contains(err.Error(), `add it to permissions.http`) ||
		!strings.Contains(err.Error(), `"https://other.example:8443"`) {
		t.Errorf("not granted: %v", err)
	}
	if err := get("https://10.0.0.5/"); !errors.Is(err, agent.ErrDenied) {
		t.Errorf("an address in a granted network: %v", err)
	}
	for i := range 16 {
		if err := get("https://api.example.com/"); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	if err := get("https://api.example.com/"); !errors.Is(err, agent.ErrLimit) {
		t.Errorf("request 17: %v", err)
	}
	for i, key := range f.keys {
		if want := fmt.Sprintf("gw7/1/app/fn/%d", i); key != want {
			t.Errorf("idempotency key %q, want %q", key, want)
		}
	}
	if inv.Usage.Denied != 2 {
		t.Errorf("%d denied, want 2", inv.Usage.Denied)
	}
}

// What the Fetcher refuses counts as refused too, and says what would grant it.
func TestInvocationFetchCountsRefusedAddresses(t *testing.T) {
	const says = `request to api.example.com: it leads to 11.0.0.5, add "11.0.0.5/32"`
	inv := fetchingRun(agent.Outside{Fetch: &fetched{err: fmt.Errorf("%s: %w", says, agent.ErrDenied)}})
	for range 2 {
		if _, err := inv.Fetch(t.Context(), &agent.HTTPRequest{URL: "https://api.example.com/"}); !errors.Is(err, agent.ErrDenied) {
			t.Error(err)
		}
	}
	if u := inv.Usage; u.Denied != 2 || !slices.Equal(u.Refused, []string{says}) {
		t.Errorf("%d denied, refused %q", u.Denied, u.Refused)
	}
}

func TestInvocationFetchWithoutFetcher(t *testing.T) {
	inv := fetchingRun(agent.Outside{})
	if _, err := inv.Fetch(t.Context(), &agent.HTTPRequest{URL: "https://api.example.com/"}); !errors.Is(err, agent.ErrDenied) {
		t.Error(err)
	}
}
