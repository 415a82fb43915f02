package page

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzNobodyGetsIn makes requests of any kind, without a secret: none gets to the API,
// and a page under another name than ours gets nothing at all.
func FuzzNobodyGetsIn(f *testing.F) {
	f.Add("GET", "127.0.0.1:9180", "/v1/status", "", "Authorization", "Bearer x")
	f.Add("POST", "evil.example", "/login", "null", "Cookie", "skerry-9180=x; skerry=")
	f.Add("GET", "[::1%25lo]:1", "//v1/../v1/%2e%2e/x", "http://[::1]", "Sec-Fetch-Site", "none")
	f.Add("OPTIONS", "localhost.", "*", "http://localhost.", "Sec-Fetch-Mode", "navigate")
	w := newWorld(&testing.T{}, nil)
	f.Fuzz(func(t *testing.T, method, host, target, origin, name, value string) {
		if strings.Contains(value, goodToken) {
			return
		}
		u, err := url.Parse(target)
		if err != nil {
			return
		}
		w.guard.mu.Lock()
		clear(w.guard.pauses)
		w.guard.mu.Unlock()
		r := httptest.NewRequest("GET", "/", http.NoBody)
		r.Method, r.Host, r.URL, r.RemoteAddr = method, host, u, "192.0.2.1:5"
		r.Header.Set("Origin", origin)
		r.Header.Set(name, value)
		rec := httptest.NewRecorder()
		w.guard.ServeHTTP(rec, r)
		body := rec.Body.String()
		if strings.HasPrefix(body, "api") || strings.HasPrefix(body, "figures") {
			t.Errorf("%s %s of %q with %s: %q gets %s", method, target, host, name, value, body)
		}
		if strings.Contains(host, "evil") && (rec.Code != http.StatusMisdirectedRequest || len(rec.Result().Cookies()) > 0) {
			t.Errorf("%q gets %d %s", host, rec.Code, body)
		}
	})
}
