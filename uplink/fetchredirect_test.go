package uplink_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

func TestFetchRedirects(t *testing.T) {
	var strayed atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strayed.Add(1) }))
	defer other.Close()
	var last string // request that ended the way
	srv := httptest.NewServer(wayfarer(&last))
	defer srv.Close()

	upper := strings.Replace(srv.URL, "http", "HTTP", 1)
	for _, tt := range []struct {
		method, path string
		status       int
		last         string
	}{
		{"GET", "/to/301?l=/end", 200, "GET  secret key "},
		{"GET", "/to/302?l=/end", 200, "GET  secret key "},
		{"GET", "/to/303?l=/end", 200, "GET  secret key "},
		{"GET", "/to/307?l=/end", 200, "GET  secret key "},
		{"GET", "/to/308?l=" + upper + "/end%23part", 200, "GET  secret key "},
		{"HEAD", "/to/302?l=/end", 200, "HEAD  secret key "},
		{"POST", "/to/307?l=/end", 200, "POST data secret key "},
		{"PUT", "/to/308?l=/end", 200, "PUT data secret key "},
		{"POST", "/to/301?l=/end", 301, ""},
		{"POST", "/to/302?l=/end", 302, ""},
		{"DELETE", "/to/303?l=/end", 303, ""},
		{"GET", "/to/300?l=/end", 300, ""},
		{"GET", "/to/302", 302, ""},
		{"GET", "/to/302?l=", 302, ""},
		{"GET", "/to/302?l=http://%5B", 302, ""},
		{"GET", "/to/302?l=" + other.URL + "/end", 302, ""}, // granted, but another port
		{"GET", "/to/302?l=" + strings.Replace(srv.URL, "http", "https", 1) + "/end", 302, ""},
		{"GET", "/to/302?l=" + strings.Replace(srv.URL, "127.0.0.1", "localhost", 1) + "/end", 302, ""},
		{"GET", "/to/302?l=" + strings.Replace(srv.URL, "//", "//user:pw@", 1) + "/end", 302, ""},
		{"GET", "/to/302?l=//169.254.169.254/latest/meta-data", 302, ""},
		{"GET", "/to/302?l=file:///etc/passwd", 302, ""},
		{"GET", "/hop/3", 200, "GET  secret key "},
		{"GET", "/hop/4", 302, ""},
	} {
		last = ""
		r := &agent.HTTPRequest{
			Method: tt.method, URL: srv.URL + tt.path, IdempotencyKey: "key", Grants: grants(t, srv.URL, other.URL, loopback),
			Header: []agent.HTTPField{{Name: "Authorization", Value: "secret"}},
		}
		if tt.method == "POST" || tt.method == "PUT" {
			r.Body = []byte("data")
		}
		resp, err := newFetcher(t, uplink.FetchOptions{}).Fetch(t.Context(), r)
		if err != nil || resp.Status != tt.status || last != tt.last {
			t.Errorf("%s %s: %+v, %v, ended with %q; want %d, %q", tt.method, tt.path, resp, err, last, tt.status, tt.last)
		}
	}
	if n := strayed.Load(); n != 0 {
		t.Errorf("%d requests went elsewhere", n)
	}
}

// wayfarer redirects: /to/<status>?l=<location>, and /hop/<n> over n hops to
// /end, which notes the request that came there.
func wayfarer(last *string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/end", func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := r.Header
		*last = strings.Join([]string{r.Method, string(body), h.Get("Authorization"), h.Get("Idempotency-Key"), h.Get("Referer")}, " ")
	})
	mux.HandleFunc("/hop/{n}", func(w http.ResponseWriter, r *http.Request) {
		if n, _ := strconv.Atoi(r.PathValue("n")); n > 1 {
			w.Header().Set("Location", strconv.Itoa(n-1)) // relative
		} else {
			w.Header().Set("Location", "/end")
		}
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/to/{status}", func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.PathValue("status"))
		w.Header()["Location"] = r.URL.Query()["l"]
		w.WriteHeader(status)
		io.WriteString(w, strings.Repeat("moved ", 1000))
	})
	return mux
}
