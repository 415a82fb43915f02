package page

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const goodToken = "correct-horse-battery"

// world is a guard at a real port, before a page and an API that say what they are.
type world struct {
	t     *testing.T
	guard *Guard
	addr  string
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

// serve opens the guard's port.
func (w *world) serve() *world {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, nil, w.guard, slog.New(slog.DiscardHandler)) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	w.addr = l.Addr().String()
	return w
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
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		switch name {
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

const (
	asJSON   = "Content-Type: application/json"
	ours     = "Origin: http://127.0.0.1:9180"
	foreign  = "Origin: https://evil.example"
	crossing = "Sec-Fetch-Site: cross-site"
)

// login gives the header of a session.
func (w *world) login(secret string, headers ...string) (cookie string, code int) {
	w.t.Helper()
	rec := w.ask("POST", "/login", fmt.Sprintf(`{"token":%q}`, secret), append(headers, asJSON)...)
	for _, c := range rec.Result().Cookies() {
		cookie = "Cookie: " + c.Name + "=" + c.Value
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
		{"another name", "GET", "/v1/status", "", "api ", []string{cookie, "Host: GW7.plant.example.", "Origin: https://gw7.plant.example."}},
		{"IPv6", "GET", "/v1/status", "", "api ", []string{cookie, "Host: [::1]:9180"}},
		{"a cookie of somebody else's beside", "GET", "/v1/status", "", "api ", []string{"Cookie: skerry=tossed", cookie}},
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
	cookie, _ := w.login(w.guard.Ticket())
	const (
		notCalled = "this device is not called"
		another   = "another site asked for this"
		plainly   = "write it plainly"
		logIn     = "log in first"
		getOrPost = "GET or POST"
	)
	for _, tt := range []struct {
		name, method, target string
		headers              []string
		code                 int
		want                 string
	}{
		{"rebinding", "GET", "/v1/status", []string{"Host: evil.example:9180", cookie}, 421, notCalled},
		{"rebinding, the page", "GET", "/", []string{"Host: evil.example"}, 421, notCalled},
		{"rebinding, figures", "GET", "/metrics", []string{"Host: evil.example"}, 421, notCalled},
		{"rebinding, health", "GET", "/healthz", []string{"Host: evil.example"}, 421, notCalled},
		{"rebinding, login", "POST", "/login", []string{"Host: 127.0.0.1.evil.example", asJSON}, 421, notCalled},
		{"rebinding, like our name", "GET", "/", []string{"Host: localhost.evil.example"}, 421, notCalled},
		{"an address of another device", "GET", "/", []string{"Host: 192.0.2.1"}, 421, notCalled},
		{"loopback, oddly", "GET", "/", []string{"Host: 0.0.0.0:9180"}, 421, notCalled},
		{"no host", "GET", "/", []string{"Host: "}, 421, notCalled},
		{"user and host", "GET", "/", []string{"Host: localhost@evil.example"}, 421, notCalled},

		{"form of another site", "POST", "/v1/sync", []string{cookie, foreign, "Content-Type: application/x-www-form-urlencoded"}, 403, another},
		{"text of another site", "POST", "/v1/sync", []string{cookie, foreign, "Content-Type: text/plain"}, 403, another},
		{"upload of another site", "POST", "/v1/sync", []string{cookie, foreign, "Content-Type: multipart/form-data; boundary=x"}, 403, another},
		{"JSON of another site", "POST", "/v1/sync", []string{cookie, foreign, asJSON}, 403, another},
		{"no type, of another site", "POST", "/v1/sync", []string{cookie, foreign}, 403, another},
		{"a sandboxed frame", "POST", "/v1/sync", []string{cookie, "Origin: null", asJSON}, 403, another},
		{"another port of this device", "POST", "/v1/sync", []string{cookie, "Origin: http://127.0.0.1:3000", asJSON}, 403, another},
		{"another port, as browsers call it", "POST", "/v1/sync", []string{cookie, "Sec-Fetch-Site: same-site", asJSON}, 403, another},
		{"two origins", "POST", "/v1/sync", []string{cookie, ours, foreign, asJSON}, 403, another},
		{"ours, but cross-site", "POST", "/v1/sync", []string{cookie, ours, crossing}, 403, another},
		{"a navigation that posts", "POST", "/v1/sync", []string{cookie, crossing, "Sec-Fetch-Mode: navigate"}, 403, another},
		{"a stream for another site", "GET", "/v1/events", []string{cookie, foreign}, 403, another},
		{"a stream in an image", "GET", "/v1/logs", []string{cookie, crossing, "Sec-Fetch-Mode: no-cors"}, 403, another},
		{"a stream in a new window", "GET", "/v1/events", []string{cookie, crossing, "Sec-Fetch-Mode: navigate"}, 403, another},
		{"a WebSocket of another site", "GET", "/v1/events", []string{cookie, foreign, "Upgrade: websocket", "Connection: Upgrade"}, 403, another},
		{"figures for another site", "GET", "/metrics", []string{crossing, "Sec-Fetch-Mode: navigate"}, 403, another},
		{"the page's files for another site", "GET", "/app.js", []string{crossing, "Sec-Fetch-Mode: no-cors"}, 403, another},
		{"login for another site", "POST", "/login", []string{foreign, asJSON}, 403, another},
		{"logout for another site", "POST", "/logout", []string{cookie, crossing}, 403, another},
		{"a cookie without origin", "POST", "/v1/sync", []string{cookie, asJSON}, 403, "does not say which page"},
		{"may I?", "OPTIONS", "/v1/sync", []string{ours, "Access-Control-Request-Method: POST"}, 405, getOrPost},

		{"nobody", "GET", "/v1/status", nil, 401, logIn},
		{"nobody, a stream", "GET", "/v1/events", nil, 401, logIn},
		{"nobody posts", "POST", "/v1/sync", []string{ours}, 401, logIn},
		{"a made-up session", "GET", "/v1/status", []string{"Cookie: skerry=AAAAAAAAAAAAAAAAAAAAAAAAAA"}, 401, logIn},
		{"an empty session", "GET", "/v1/status", []string{"Cookie: skerry="}, 401, logIn},
		{"a password", "GET", "/v1/status", []string{"Authorization: Basic Zzp0"}, 401, "Bearer TOKEN"},
		{"a login through the page", "POST", "/v1/login", nil, 401, logIn},
		{"figures, from elsewhere", "GET", "/metrics", []string{"From: 192.0.2.7:5"}, 401, logIn},
		{"figures, through a proxy here", "GET", "/metrics", []string{"X-Forwarded-For: 192.0.2.7"}, 401, logIn},
		{"figures, through a proxy that keeps the name", "GET", "/metrics", []string{"Host: gw7.plant.example"}, 401, logIn},

		{"two slashes", "GET", "//v1/status", []string{cookie}, 400, plainly},
		{"two slashes within", "GET", "/v1//status", []string{cookie}, 400, plainly},
		{"up and down", "GET", "/v1/../v1/status", []string{cookie}, 400, plainly},
		{"up from a file", "GET", "/x/../v1/status", []string{cookie}, 400, plainly},
		{"dots, written otherwise", "GET", "/x/%2e%2e/v1/status", []string{cookie}, 400, plainly},
		{"a slash, written otherwise", "GET", "/v1%2fstatus", []string{cookie}, 400, plainly},
		{"above all", "GET", "/%2e%2e/etc/passwd", nil, 400, plainly},
		{"at the end", "GET", "/v1/status/.", []string{cookie}, 400, plainly},

		{"a trace", "TRACE", "/", nil, 405, getOrPost},
		{"a put", "PUT", "/v1/sync", []string{cookie, ours}, 405, getOrPost},
		{"a delete", "DELETE", "/v1/sync", []string{cookie, ours}, 405, getOrPost},
		{"posting to the page", "POST", "/", []string{ours}, 405, getOrPost},
		{"posting to health", "POST", "/healthz", nil, 405, getOrPost},
		{"login by link", "GET", "/login?token=" + goodToken, nil, 405, getOrPost},
		{"logout by image", "GET", "/logout", []string{cookie}, 405, getOrPost},
	} {
		body := ""
		if tt.method == "POST" {
			body = "{}"
		}
		refused(t, tt.name, w.ask(tt.method, tt.target, body, tt.headers...), tt.code, tt.want)
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

// TestGuessingTakesLong has somebody guess tokens for an hour, as fast as is allowed.
func TestGuessingTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		guesses, begun := 0, time.Now()
		for time.Since(begun) < time.Hour {
			rec := w.ask("GET", "/v1/status", "", "Authorization: Bearer guess")
			if guesses++; rec.Code == http.StatusUnauthorized && guesses < freeTries {
				continue
			}
			if rec.Code == http.StatusUnauthorized {
				rec = w.ask("POST", "/login", `{"token":"`+goodToken+`"}`, asJSON)
			}
			refused(t, "guessing", rec, 429, "too many wrong tokens")
			var wait int
			if _, err := fmt.Sscan(rec.Header().Get("Retry-After"), &wait); err != nil || wait < 1 {
				t.Fatalf("Retry-After %q", rec.Header().Get("Retry-After"))
			}
			time.Sleep(time.Duration(wait) * time.Second)
		}
		if guesses > 25 {
			t.Errorf("%d guesses in an hour", guesses)
		}
		if _, code := w.login(goodToken, "From: 192.0.2.7:1"); code != 204 {
			t.Errorf("others have to wait too: %d", code)
		}
		refused(t, "from there", w.ask("POST", "/login", `{"token":"x"}`, asJSON), 401, "not the token") // its pause has just ended
		if _, code := w.login(w.guard.Ticket()); code != 204 {
			t.Errorf("a link has to wait too: %d", code)
		}
		time.Sleep(2 * time.Hour)
		if _, code := w.login(goodToken); code != 204 {
			t.Errorf("it is never forgotten: %d", code)
		}
	})
}

// TestGuessingFromManyPlaces takes no memory, and gets nobody more guesses.
func TestGuessingFromManyPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		tried := 0
		for i := range 2000 {
			from := fmt.Sprintf("From: [2001:db8:%x::1]:1", i)
			if w.ask("GET", "/v1/status", "", "Authorization: Bearer guess", from).Code == 401 {
				tried++
			}
			from = fmt.Sprintf("From: [2001:db8:0:0:%x::1]:1", i) // all of one network
			if w.ask("GET", "/v1/status", "", "Authorization: Bearer guess", from).Code == 401 {
				tried++
			}
		}
		if len(w.guard.pauses) > maxClients+1 || tried > freeTries*(maxClients+2) {
			t.Errorf("%d places are kept, %d guesses were looked at", len(w.guard.pauses), tried)
		}
	})
}

func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		late := w.guard.Ticket()
		time.Sleep(ticketTime + time.Second)
		if _, code := w.login(late); code != 401 {
			t.Errorf("an old link: %d", code)
		}
		time.Sleep(time.Hour)
		cookie, _ := w.login(w.guard.Ticket())
		time.Sleep(sessionTime - time.Minute)
		if rec := w.ask("GET", "/v1/status", "", cookie); rec.Code != 200 {
			t.Errorf("before its time is over: %d", rec.Code)
		}
		streamed := make(chan int, 1)
		go func() { streamed <- w.ask("GET", "/v1/events", "", cookie).Code }()
		synctest.Wait()
		begun := time.Now()
		<-streamed
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("a stream ended after %s, the session after 1m", took)
		}
		time.Sleep(time.Second)
		refused(t, "an old session", w.ask("GET", "/v1/status", "", cookie), 401, "log in first")
	})
}

func TestLogoutEndsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		cookie, _ := w.login(w.guard.Ticket())
		other, _ := w.login(w.guard.Ticket())
		ended := make(chan string, 2)
		go func() { w.ask("GET", "/v1/events", "", cookie); ended <- "ours" }()
		go func() { w.ask("GET", "/v1/events", "", other); ended <- "the other's" }()
		synctest.Wait()
		if rec := w.ask("POST", "/logout", "", cookie); rec.Code != 204 {
			t.Fatalf("logout without origin: %d", rec.Code)
		}
		synctest.Wait()
		if len(ended) > 0 {
			t.Error("who does not say where it comes from may log others out")
		}
		rec := w.ask("POST", "/logout", "", cookie, ours)
		if c := rec.Result().Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
			t.Errorf("cookies %v", c)
		}
		if who := <-ended; who != "ours" {
			t.Errorf("%s stream ended", who)
		}
		refused(t, "after the logout", w.ask("GET", "/v1/status", "", cookie), 401, "log in first")
		w.ask("POST", "/logout", "", other, ours)
		<-ended
	})
}

// TestSessionsCannotBeChosen logs in with a cookie that somebody planted.
func TestSessionsCannotBeChosen(t *testing.T) {
	w := newWorld(t, nil)
	planted, _ := w.login(w.guard.Ticket())
	got, _ := w.login(w.guard.Ticket(), planted, ours)
	if got == planted {
		t.Error("the planted session was taken")
	}
	refused(t, "the planted one", w.ask("GET", "/v1/status", "", planted), 401, "log in first")
	if rec := w.ask("GET", "/v1/status", "", got); rec.Code != 200 {
		t.Errorf("the new one: %d", rec.Code)
	}
	rec := w.ask("POST", "/login", `{"token":"`+goodToken+`"}`, asJSON)
	if c := rec.Result().Cookies(); len(c) != 1 || !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode || c[0].Secure || c[0].Path != "/" {
		t.Errorf("cookie %v", c)
	}
	w.guard.opts.TLS = true
	rec = w.ask("POST", "/login", `{"token":"`+goodToken+`"}`, asJSON)
	if c := rec.Result().Cookies(); len(c) != 1 || !c[0].Secure {
		t.Errorf("with TLS: %v", c)
	}
}

func TestSessionsAndLinksAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		first, _ := w.login(w.guard.Ticket())
		second, _ := w.login(w.guard.Ticket())
		for range maxSessions - 1 {
			time.Sleep(time.Second)
			w.ask("GET", "/v1/status", "", first) // used all the time
			if _, code := w.login(w.guard.Ticket()); code != 204 {
				t.Fatal(code)
			}
		}
		if rec := w.ask("GET", "/v1/status", "", first); rec.Code != 200 || len(w.guard.sessions) != maxSessions {
			t.Errorf("the one in use: %d; there are %d", rec.Code, len(w.guard.sessions))
		}
		refused(t, "the one that was not used for longest", w.ask("GET", "/v1/status", "", second), 401, "log in first")
		for range 1000 {
			w.guard.Ticket()
		}
		if len(w.guard.tickets) != maxTickets {
			t.Errorf("%d links", len(w.guard.tickets))
		}
	})
}

func TestASessionHasFewStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		for _, auth := range [][]string{nil, {"Authorization: Bearer " + goodToken}} {
			logout := func() {}
			if auth == nil {
				cookie, _ := w.login(w.guard.Ticket())
				auth = []string{cookie}
				logout = func() { w.ask("POST", "/logout", "", cookie, ours) }
			}
			for range maxRunning {
				go w.ask("GET", "/v1/events", "", auth...)
			}
			synctest.Wait()
			refused(t, "one more", w.ask("GET", "/v1/events", "", auth...), 429, "12 requests and streams")
			logout()
		}
		time.Sleep(sessionTime) // those of programs end then
		synctest.Wait()
		if n := len(w.guard.programs.running); n > 0 {
			t.Errorf("%d streams of programs go on", n)
		}
	})
}
