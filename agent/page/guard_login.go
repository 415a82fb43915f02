package page

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// login answers POST /login {"token": "…"} with a cookie, and a key in the header
// Skerry-Key: for a ticket, or for the token of the configuration.
func (g *Guard) login(w http.ResponseWriter, r *http.Request) {
	cookie, key, no := g.admit(w, r)
	if no != nil {
		no.write(w)
		return
	}
	http.SetCookie(w, cookie)
	w.Header().Set(keyHeader, key)
	w.WriteHeader(http.StatusNoContent)
}

func (g *Guard) admit(w http.ResponseWriter, r *http.Request) (cookie *http.Cookie, key string, no *refusal) {
	// A form of another site cannot say this without asking first.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, "", &refusal{status: http.StatusUnsupportedMediaType, text: `log in with {"token": "…"}, as application/json`}
	}
	if no := readBody(w, r, maxLogin); no != nil {
		return nil, "", no
	}
	var in struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, "", &refusal{status: http.StatusBadRequest, text: `log in with {"token": "…"}, as application/json`}
	}
	secret := strings.TrimSpace(in.Token)
	g.mu.Lock()
	defer g.mu.Unlock()
	by := "link"
	if !g.useTicket(secret) {
		by = "token"
		if no := g.checkToken(r, secret); no != nil {
			return nil, "", no
		}
	}
	if id, s := g.sessionOf(r); s != nil {
		g.end(id)
	}
	g.log.Info("somebody logged in to the page", "by", by, "from", r.RemoteAddr)
	cookie, key = g.open(r, by == "token")
	return cookie, key, nil
}

// logout ends the session, with its streams.
func (g *Guard) logout(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if id, s := g.sessionOf(r); s != nil && fromPage(r) {
		g.end(id)
	}
	gone := g.cookie(r, "")
	gone.MaxAge = -1
	http.SetCookie(w, gone)
	w.WriteHeader(http.StatusNoContent)
}

// checkToken compares what was shown with the token of the configuration, and has
// who guesses wait. g.mu is held, so that guesses come one after the other.
func (g *Guard) checkToken(r *http.Request, shown string) *refusal {
	now, from := time.Now(), client(r.RemoteAddr)
	if wait := g.pauses.left(from, now); wait > 0 {
		return &refusal{status: http.StatusTooManyRequests, text: fmt.Sprintf("too many wrong tokens came from there: wait %s, or get a link with skerry page on the device", wait.Round(time.Second)), after: wait}
	}
	token, err := g.token()
	if err != nil {
		g.log.Error("nobody can log in by token", "err", err)
		return &refusal{status: http.StatusUnauthorized, text: "the token cannot be read on the device: skerry logs says why; skerry page on the device gives a link"}
	}
	if same := digestOf(token).equal(digestOf(shown)); same && token != "" {
		delete(g.pauses, from)
		return nil
	}
	g.pauses.failed(from, now)
	g.log.Warn("somebody was not let in to the page", "from", r.RemoteAddr)
	if token == "" {
		return &refusal{status: http.StatusUnauthorized, text: "the link is used or older than 2 minutes, and there is no token (page.token_file): get another with skerry page on the device"}
	}
	return &refusal{status: http.StatusUnauthorized, text: "this is not the token, and no link that is still good: look into page.token_file, or get a link with skerry page on the device"}
}

// token reads that of the configuration. Where it is not what it was, it ends all that
// was begun with that. g.mu is held.
func (g *Guard) token() (string, error) {
	token, err := g.opts.Token()
	if now := digestOf(token); !now.equal(g.last) {
		g.last = now
		for id, s := range g.sessions {
			if s.byToken {
				g.end(id)
			}
		}
		g.programs.end()
		g.programs = newSession()
	}
	return token, err
}

// client is who has an address with port. A network of IPv6 belongs to one.
func client(address string) netip.Prefix {
	from, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := from.Addr().Unmap().WithZone(""), 64
	if addr.Is4() {
		bits = 32
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// pauses are those of clients that showed a wrong token.
type pauses map[netip.Prefix]pause

type pause struct {
	times int // that it was wrong
	last  time.Time
}

const (
	maxClients = 256 // with pauses of their own; all others share one
	freeTries  = 3
	maxPause   = 5 * time.Minute
	forgetting = time.Hour
)

// left is how long a client has to wait: 1 s after its third mistake, and twice as
// long after each.
func (p pauses) left(from netip.Prefix, now time.Time) time.Duration {
	was, known := p[from]
	if !known && len(p) >= maxClients {
		was = p[netip.Prefix{}]
	}
	if was.times < freeTries {
		return 0
	}
	return max(0, was.last.Add(min(maxPause, time.Second<<min(was.times-freeTries, 16))).Sub(now))
}

func (p pauses) failed(from netip.Prefix, now time.Time) {
	for other, was := range p {
		if now.Sub(was.last) > forgetting {
			delete(p, other)
		}
	}
	if _, known := p[from]; !known && len(p) >= maxClients {
		from = netip.Prefix{}
	}
	p[from] = pause{p[from].times + 1, now}
}
