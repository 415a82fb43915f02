package page

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

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
			pass(time.Duration(wait) * time.Second)
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
		pass(2 * time.Hour)
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
		pass(ticketTime + time.Second)
		if _, code := w.login(late); code != 401 {
			t.Errorf("an old link: %d", code)
		}
		pass(time.Hour)
		cookie, _ := w.login(w.guard.Ticket())
		pass(sessionTime - time.Minute)
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
		pass(time.Second)
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
			pass(time.Second)
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
		pass(sessionTime) // those of programs end then
		synctest.Wait()
		if n := len(w.guard.programs.running); n > 0 {
			t.Errorf("%d streams of programs go on", n)
		}
	})
}

// TestCookieAloneIsWorthNothing: browsers send it to every port of a host, also to what
// another user of the machine listens with.
func TestCookieAloneIsWorthNothing(t *testing.T) {
	w := newWorld(t, nil)
	first, _ := w.login(w.guard.Ticket())
	second, _ := w.login(w.guard.Ticket())
	cookie, key, _ := strings.Cut(first, "\n")
	_, otherKey, _ := strings.Cut(second, "\n")
	for name, headers := range map[string][]string{
		"the cookie": {cookie}, "the key": {key}, "the key of another": {cookie, otherKey}, "an empty key": {cookie, keyHeader + ": "},
	} {
		refused(t, name, w.ask("GET", "/v1/status", "", headers...), 401, "log in first")
		w.ask("POST", "/logout", "", append(headers, ours)...)
	}
	if rec := w.ask("GET", "/v1/status", "", cookie, key); rec.Code != 200 {
		t.Errorf("both: %d %s", rec.Code, rec.Body)
	}
}

// TestAgentsUnderOneHostHaveCookiesOfTheirOwn, as they are through tunnels.
func TestAgentsUnderOneHostHaveCookiesOfTheirOwn(t *testing.T) {
	w := newWorld(t, nil)
	for host, want := range map[string]string{"127.0.0.1:9180": "skerry-9180", "localhost:9181": "skerry-9181", "[::1]:7": "skerry-7", "gw7.plant.example": "skerry"} {
		cookie, code := w.login(w.guard.Ticket(), "Host: "+host)
		if code != 204 || !strings.HasPrefix(cookie, "Cookie: "+want+"=") {
			t.Errorf("%s: %d %s", host, code, cookie)
		}
		if rec := w.ask("GET", "/v1/status", "", cookie, "Host: "+host); rec.Code != 200 {
			t.Errorf("%s: %d", host, rec.Code)
		}
	}
}

// TestAnotherTokenEndsWhatTheOldOneBegan, and leaves who came by a link.
func TestAnotherTokenEndsWhatTheOldOneBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token := goodToken
		w := newWorld(t, func(o *Options) { o.Token = func() (string, error) { return token, nil } })
		byLink, _ := w.login(w.guard.Ticket())
		byToken, _ := w.login(goodToken)
		ended := make(chan string, 3)
		for name, auth := range map[string]string{"link": byLink, "token": byToken, "program": "Authorization: Bearer " + goodToken} {
			go func() { w.ask("GET", "/v1/events", "", auth); ended <- name }()
		}
		synctest.Wait()
		if len(ended) > 0 {
			t.Fatalf("the stream by %s ended", <-ended)
		}
		token = "another-token-that-is-long"
		refused(t, "who showed the old one", w.ask("GET", "/v1/status", "", byToken), 401, "log in first")
		synctest.Wait()
		if len(ended) != 2 {
			t.Errorf("%d streams ended, want those of the session and the program", len(ended))
		}
		if rec := w.ask("GET", "/v1/status", "", byLink); rec.Code != 200 {
			t.Errorf("by a link: %d", rec.Code)
		}
		w.ask("POST", "/logout", "", byLink, ours)
	})
}

// TestAnotherTokenEndsStreamsThoughNobodyAsks: a stream may be all that its owner asked for.
func TestAnotherTokenEndsStreamsThoughNobodyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var token atomic.Value
		token.Store(goodToken)
		w := newWorld(t, func(o *Options) { o.Token = func() (string, error) { return token.Load().(string), nil } })
		byLink, _ := w.login(w.guard.Ticket())
		byToken, _ := w.login(goodToken)
		ended := make(chan string, 3)
		for name, auth := range map[string]string{"link": byLink, "token": byToken, "program": "Authorization: Bearer " + goodToken} {
			go func() { w.ask("GET", "/v1/events", "", auth); ended <- name }()
		}
		pass(time.Hour)
		if len(ended) > 0 {
			t.Fatalf("the stream by %s ended", <-ended)
		}
		token.Store("another-token-that-is-long")
		pass(time.Minute + time.Second)
		if len(ended) != 2 {
			t.Errorf("%d streams ended a minute later, want those of the session and the program", len(ended))
		}
		w.ask("POST", "/logout", "", byLink, ours)
	})
}

// TestAnEndedSessionBeginsNothing: it may end between being found and being used.
func TestAnEndedSessionBeginsNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.login(w.guard.Ticket())
	for id, s := range w.guard.sessions {
		w.guard.end(id)
		if _, _, no := w.guard.begin(s, httptest.NewRequest("GET", "/v1/events", nil)); no == nil || no.status != 401 {
			t.Errorf("%+v", no)
		}
	}
}
