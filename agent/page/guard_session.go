package page

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	keyHeader   = "Skerry-Key"
	sessionTime = 12 * time.Hour
	ticketTime  = 2 * time.Minute
	maxSessions = 16 // then the one that was not used for longest goes
	maxTickets  = 16
	maxRunning  = 12          // requests and streams of a session at once
	tokenLook   = time.Minute // while something runs that lasts no longer than the token
)

// digest is what is kept of a secret. Looking one up tells nobody how near a guess is.
type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

// equal takes as long whatever they are.
func (d digest) equal(other digest) bool { return subtle.ConstantTimeCompare(d[:], other[:]) == 1 }

// ticket is a link that lets its finder in, once.
type ticket struct {
	secret digest
	until  time.Time
}

// session is somebody who has logged in. They show a cookie, which scripts cannot read,
// and a key, which the page keeps: browsers send cookies to every port of a host, and
// whoever listens at another one must not get in with what he is sent.
type session struct {
	key     digest
	until   time.Time
	used    time.Time
	byToken bool // it lasts no longer than the token that opened it
	ended   bool
	running map[*http.Request]context.CancelFunc
}

// end ends all that was asked for. The guard's mu is held.
func (s *session) end() {
	s.ended = true
	for _, cancel := range s.running {
		cancel()
	}
}

func newSession() *session { return &session{running: map[*http.Request]context.CancelFunc{}} }

// Ticket makes a secret that POST /login takes once, within two minutes. Whoever may
// ask for one is let in by it.
func (g *Guard) Ticket() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	secret := rand.Text()
	g.tickets = append(g.tickets, ticket{digestOf(secret), time.Now().Add(ticketTime)})
	g.tickets = g.tickets[max(0, len(g.tickets)-maxTickets):]
	return secret
}

// useTicket tells whether secret is a ticket, which it then is no more. g.mu is held.
func (g *Guard) useTicket(secret string) bool {
	now, shown := time.Now(), digestOf(secret)
	g.tickets = slices.DeleteFunc(g.tickets, func(t ticket) bool { return now.After(t.until) })
	i := slices.IndexFunc(g.tickets, func(t ticket) bool { return t.secret.equal(shown) })
	if i < 0 {
		return false
	}
	g.tickets = slices.Delete(g.tickets, i, i+1)
	return true
}

// open begins a session and gives its cookie and its key. Whatever cookie came with the request
// counts for nothing, so that nobody can choose another's. g.mu is held.
func (g *Guard) open(r *http.Request, byToken bool) (cookie *http.Cookie, key string) {
	now := time.Now()
	if len(g.sessions) >= maxSessions {
		var oldest digest
		for id, s := range g.sessions {
			if o := g.sessions[oldest]; o == nil || s.used.Before(o.used) {
				oldest = id
			}
		}
		g.end(oldest)
	}
	secret, key, s := rand.Text(), rand.Text(), newSession()
	s.key, s.until, s.used, s.byToken = digestOf(key), now.Add(sessionTime), now, byToken
	g.sessions[digestOf(secret)] = s
	return g.cookie(r, secret), key
}

// cookieName is a cookie's for the port that the browser knows: through tunnels it may
// know several agents under one host.
func cookieName(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		return "skerry"
	}
	return "skerry-" + port
}

func (g *Guard) cookie(r *http.Request, value string) *http.Cookie {
	return &http.Cookie{Name: cookieName(r), Value: value, Path: "/", HttpOnly: true, Secure: g.opts.TLS, SameSite: http.SameSiteStrictMode}
}

// end ends a session and all that it asked for. g.mu is held.
func (g *Guard) end(id digest) {
	if s := g.sessions[id]; s != nil {
		s.end()
		delete(g.sessions, id)
	}
}

// sessionOf finds the session of a request, which needs its cookie and its key. Another
// program on this host may have set cookies of the same name: they are passed over.
// g.mu is held.
func (g *Guard) sessionOf(r *http.Request) (id digest, s *session) {
	for _, c := range r.CookiesNamed(cookieName(r)) {
		id = digestOf(c.Value)
		s = g.sessions[id]
		if s != nil && time.Now().After(s.until) {
			g.end(id)
			s = nil
		}
		if s != nil && s.key.equal(digestOf(r.Header.Get(keyHeader))) {
			return id, s
		}
	}
	return id, nil
}

// who finds out on whose behalf a request comes.
func (g *Guard) who(r *http.Request) (*session, *refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if auth := r.Header.Get("Authorization"); auth != "" {
		kind, token, _ := strings.Cut(auth, " ")
		if !strings.EqualFold(kind, "Bearer") {
			return nil, &refusal{status: http.StatusUnauthorized, text: "show the token of page.token_file as \"Authorization: Bearer TOKEN\""}
		}
		no := g.checkToken(r, strings.TrimSpace(token))
		return g.programs, no
	}
	_, s := g.sessionOf(r)
	if s != nil && s.byToken {
		if _, err := g.token(); err != nil {
			g.log.Error("the token of the page cannot be read", "err", err)
		}
	}
	if s == nil || s.ended {
		return nil, logInFirst()
	}
	if r.Method != http.MethodGet && !fromPage(r) {
		return nil, &refusal{status: http.StatusForbidden, text: "this browser does not say which page asked for this: use a newer one, or the skerry command on the device"}
	}
	s.used = time.Now()
	return s, nil
}

func logInFirst() *refusal {
	return &refusal{status: http.StatusUnauthorized, text: "log in first: skerry page, on the device, gives a link; or show the token of page.token_file"}
}

// begin notes that a request of s runs; it ends with the session.
func (g *Guard) begin(s *session, r *http.Request) (_ *http.Request, done func(), no *refusal) {
	until := s.until
	if until.IsZero() { // programs'
		until = time.Now().Add(sessionTime)
	}
	ctx, cancel := context.WithDeadline(r.Context(), until)
	r = r.WithContext(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.ended {
		cancel()
		return nil, nil, logInFirst()
	}
	if len(s.running) >= maxRunning {
		cancel()
		return nil, nil, &refusal{status: http.StatusTooManyRequests, text: "this login has 12 requests and streams open already: close a window of the page, or wait", after: time.Second}
	}
	s.running[r] = cancel
	look := g.lookAtToken(s, r)
	return r, func() {
		cancel()
		look.Stop()
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(s.running, r)
	}, nil
}

// lookAtToken ends what the token opened, streams that nobody asks again for among it, soon
// after the token is another.
func (g *Guard) lookAtToken(s *session, r *http.Request) *time.Timer {
	var look *time.Timer
	look = time.AfterFunc(tokenLook, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if s != g.programs && !s.byToken || s.ended || s.running[r] == nil {
			return
		}
		if _, err := g.token(); err != nil {
			g.log.Error("the token of the page cannot be read", "err", err)
		}
		look.Reset(tokenLook)
	})
	return look
}
