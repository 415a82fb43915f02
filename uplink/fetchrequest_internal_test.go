package uplink

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

// Whatever a function asks for arrives as one request, at the granted host, with
// the body and the header lines that it gave and no others.
func FuzzNewFetch(f *testing.F) {
	f.Add("GET", "https://api.example/a?b#c", "X-A", "1", []byte(nil))
	f.Add("POST", "https://api.example", "Host", "other.example", []byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add("PUT", "https://API.example:443/%0d%0aX:1", "X-A\r\nX-B", "2\r\n\r\nGET / HTTP/1.1", []byte("a"))
	f.Add("GET / HTTP/1.1\r\nX: ", "https://other.example@api.example/", "Content-length", "0", []byte("a"))
	f.Add("DELETE", "https://api.example/? HTTP/1.0", "transfer-Encoding", "chunked", []byte("0\r\n\r\n"))
	f.Add("PATCH", "https://api.example//other.example/\\", "x", "\xff\x80", []byte{0})
	f.Fuzz(func(t *testing.T, method, to, name, value string, body []byte) {
		r := &agent.HTTPRequest{
			Method: method, URL: to, Header: []agent.HTTPField{{Name: name, Value: value}}, Body: body,
			IdempotencyKey: value, Grants: []agent.HTTPGrant{{Host: "api.example"}},
		}
		req, err := newFetch(t.Context(), r)
		if err != nil {
			return
		}
		var wire bytes.Buffer
		if err := req.Write(&wire); err != nil {
			return // refused by net/http as well
		}
		in := bufio.NewReader(&wire)
		got, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("%q %q arrives as no request: %v", method, to, err)
		}
		arrived, err := io.ReadAll(got.Body)
		if err != nil || !bytes.Equal(arrived, body) || got.Method != method || got.RequestURI != req.URL.RequestURI() {
			t.Errorf("%s %s with %q arrives as %s %s with %q, %v", method, to, body, got.Method, got.RequestURI, arrived, err)
		}
		if host := strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(got.Host), "443"), ":"); host != "api.example" {
			t.Errorf("%s arrives at %q", to, got.Host)
		}
		own := []string{"Accept-Encoding", "Content-Length", "Idempotency-Key", "User-Agent", http.CanonicalHeaderKey(name)}
		for name := range got.Header {
			if !slices.Contains(own, name) {
				t.Errorf("header %q came from %q: %q", name, r.Header[0].Name, value)
			}
		}
		if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
			t.Errorf("%q arrives behind the request", rest)
		}
	})
}
