package page

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

const goodToken = "correct-horse-battery"

// world is a guard before a page and an API that say what they are.
type world struct {
	t     *testing.T
	guard *Guard
}

func newWorld(t *testing.T, change func(*Options)) *world {
	t.Helper()
	says := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return // it came too slowly
			}
			fmt.Fprintf(w, "%s %s", text, body)
		})
	}
	api := http.NewServeMux()
	api.Handle("/", says("api"))
	api.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "first")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	})
	opts := Options{
		Hosts: []string{"gw7.plant.example"}, Write: true,
		Token:   func() (string, error) { return goodToken, nil },
		Probes:  map[string]http.Handler{"/healthz": says("alive")},
		Metrics: says("figures"), Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&opts)
	}
	return &world{t: t, guard: NewGuard(opts, says("file"), api)}
}

// ask makes a request; headers are "Name: value", and Host is one. It comes from
// this machine.
func (w *world) ask(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	var in io.Reader = http.NoBody
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, in)
	r.Host, r.RemoteAddr = "127.0.0.1:9180", "127.0.0.1:5000"
	for _, h := range strings.Split(strings.Join(headers, "\n"), "\n") {
		name, value, _ := strings.Cut(h, ": ")
		switch name {
		case "":
		case "Host":
			r.Host = value
		case "From":
			r.RemoteAddr = value
		default:
			r.Header.Add(name, value)
		}
	}
	rec := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	w.guard.ServeHTTP(rec, r)
	return rec.ResponseRecorder
}

// deadlines is a recorder that takes deadlines, as connections do.
type deadlines struct{ *httptest.ResponseRecorder }

func (deadlines) SetReadDeadline(time.Time) error { return nil }

// pass lets time pass, in a bubble of synctest.
func pass(d time.Duration) { <-time.After(d) }

// login gives the headers of a session, as one text for ask.
func (w *world) login(secret string, headers ...string) (cookie string, code int) {
	w.t.Helper()
	rec := w.ask("POST", "/login", fmt.Sprintf(`{"token":%q}`, secret), append(headers, asJSON)...)
	for _, c := range rec.Result().Cookies() {
		cookie = "Cookie: " + c.Name + "=" + c.Value + "\n" + keyHeader + ": " + rec.Header().Get(keyHeader)
	}
	return cookie, rec.Code
}

func TestGuardLetsIn(t *testing.T) {
	w := newWorld(t, nil)
	ticket := w.guard.Ticket()
	cookie, code := w.login(ticket, ours)
	if code != http.StatusNoContent || cookie == "" {
		t.Fatalf("a link: %d, %s", code, cookie)
	}
	if _, code := w.login(ticket); code != http.StatusUnauthorized {
		t.Errorf("the same link again: %d", code)
	}
	bearer := "Authorization: Bearer " + goodToken
	for _, tt := range []struct {
		name, method, target, body, want string
		headers                          []string
	}{
		{"the page", "GET", "/", "", "file ", nil},
		{"the page, from a link in a wiki", "GET", "/", "", "file ", []string{crossing, "Sec-Fetch-Mode: navigate"}},
		{"health", "GET", "/healthz", "", "alive ", nil},
		{"figures, on this device", "GET", "/metrics", "", "figures ", []string{"Host: localhost:9180"}},
		{"figures, with the token", "GET", "/metrics", "", "figures ", []string{"From: 192.0.2.7:5", bearer}},
		{"looking", "GET", "/v1/status", "", "api ", []string{cookie}},
		{"looking, in the page", "GET", "/v1/status", "", "api ", []string{cookie, "Sec-Fetch-Site: same-origin"}},
		{"doing", "POST", "/v1/sync", "{}", "api {}", []string{cookie, ours, asJSON}},
		{"doing, in a browser without Origin", "POST", "/v1/sync", "{}", "api {}", []string{cookie, "Sec-Fetch-Site: same-origin", asJSON}},
		{"a program", "POST", "/v1/sync", "{}", "api {}", []string{bearer}},
		{"another name", "GET", "/v1/status", "", "api ", []string{cookie, "Host: GW7.plant.example.:9180", "Origin: https://gw7.plant.example.:9180"}},
		{"IPv6", "GET", "/v1/status", "", "api ", []string{cookie, "Host: [::1]:9180"}},
		{"a cookie of somebody else's beside", "GET", "/v1/status", "", "api ", []string{"Cookie: skerry-9180=tossed", cookie}},
	} {
		rec := w.ask(tt.method, tt.target, tt.body, tt.headers...)
		if rec.Code != http.StatusOK || rec.Body.String() != tt.want {
			t.Errorf("%s: %d %s", tt.name, rec.Code, rec.Body)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
			"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store", "Access-Control-Allow-Origin": "",
		} {
			if got := rec.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q", tt.name, name, got)
			}
		}
	}
}

// refused fails unless the answer is a no with that code, in a sentence of JSON.
func refused(t *testing.T, name string, rec *httptest.ResponseRecorder, code int, want string) {
	t.Helper()
	var out struct{ Error string }
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || rec.Code != code || !strings.Contains(out.Error, want) {
		t.Errorf("%s: %d %s; want %d, %q", name, rec.Code, rec.Body, code, want)
	}
}

func TestGuardRefuses(t *testing.T) {
	w := newWorld(t, nil)
	session, _ := w.login(w.guard.Ticket())
	for _, a := range attacks {
		body := ""
		if a.method == "POST" {
			body = "{}"
		}
		headers := slices.Clone(a.headers)
		if i := slices.Index(headers, cookie); i >= 0 {
			headers[i] = session
		}
		refused(t, a.name, w.ask(a.method, a.target, body, headers...), a.code, a.want)
	}
}

func TestGuardOfAPageForLookingOnly(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Write = false })
	cookie, _ := w.login(w.guard.Ticket())
	for _, auth := range [][]string{{cookie, ours}, {"Authorization: Bearer " + goodToken}} {
		for _, path := range []string{"/v1/status", "/v1/deadletters/list", "/v1/uplink/status", "/v1/uplink/waiting", "/v1/uplink/why"} {
			method := "POST"
			if path == "/v1/status" {
				method = "GET"
			}
			if rec := w.ask(method, path, "", auth...); rec.Code != 200 || rec.Header().Get("Skerry-Write") != "off" {
				t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
			}
		}
		for _, path := range []string{"/v1/sync", "/v1/try", "/v1/deadletters/drop", "/v1/deadletters/redrive", "/v1/uplink/pause", "/v1/deployments/rollback", "/v1/whatever"} {
			refused(t, path, w.ask("POST", path, "{}", auth...), 403, "for looking only")
		}
	}
	if rec := newWorld(t, nil).ask("GET", "/v1/status", "", "Authorization: Bearer "+goodToken); rec.Header().Get("Skerry-Write") != "" {
		t.Error("it says that it is for looking only where it is not")
	}
}

func TestLoginIsBounded(t *testing.T) {
	w := newWorld(t, nil)
	good := fmt.Sprintf(`{"token":%q}`, goodToken)
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp"} {
		refused(t, "as "+kind, w.ask("POST", "/login", good, "Content-Type: "+kind), 415, "as application/json")
	}
	refused(t, "too long", w.ask("POST", "/login", `{"token":"`+strings.Repeat("x", maxLogin)+`"}`, asJSON), 413, "send less")
	refused(t, "no JSON", w.ask("POST", "/login", "token", asJSON), 400, "log in with")
	refused(t, "nothing", w.ask("POST", "/login", "", asJSON), 400, "log in with")
	refused(t, "an empty token", w.ask("POST", "/login", "{}", asJSON), 401, "this is not the token")
	none := newWorld(t, func(o *Options) { o.Token = func() (string, error) { return "", nil } })
	refused(t, "an empty token where there is none", none.ask("POST", "/login", `{"token":""}`, asJSON), 401, "there is no token")
	refused(t, "an empty bearer where there is none", none.ask("GET", "/v1/status", "", "Authorization: Bearer ", "From: 192.0.2.9:1"), 401, "there is no token")
	broken := newWorld(t, func(o *Options) {
		o.Token = func() (string, error) { return "", fmt.Errorf("open /etc/skerry/page.token: permission denied") }
	})
	rec := broken.ask("POST", "/login", `{"token":""}`, asJSON)
	refused(t, "a token that cannot be read", rec, 401, "cannot be read on the device")
	if strings.Contains(rec.Body.String(), "/etc") {
		t.Errorf("strangers hear where the token is: %s", rec.Body)
	}
	cookie, _ := w.login(w.guard.Ticket())
	refused(t, "a large body", w.ask("POST", "/v1/try", strings.Repeat("x", maxBody+1), cookie, ours), 413, "2048 KiB")
}
