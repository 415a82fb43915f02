package page

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options say who gets in, and to what.
type Options struct {
	Hosts []string               // what browsers call this device, beside loopback's names and the address that was asked
	Token func() (string, error) // what people and programs may show; "" is none: then nobody gets in by it
	TLS   bool                   // connections are encrypted
	Write bool                   // false: it may be looked at only

	Probes  map[string]http.Handler // by path, for everybody
	Metrics http.Handler            // for who is on this device, or has logged in
	Log     *slog.Logger
}

// Guard stands before the page and the API that it uses. Whatever it does not
// know it refuses, in a sentence: {"error": "…"}.
type Guard struct {
	opts  Options
	files http.Handler
	api   http.Handler
	log   *slog.Logger

	mu       sync.Mutex // of all below
	tickets  []ticket
	sessions map[digest]*session
	programs *session // of those who show the token with each request
	last     digest   // of the token, when it was read last
	pauses   pauses
}

// NewGuard stands before files, which are no secret, and api: all below /v1/.
func NewGuard(opts Options, files, api http.Handler) *Guard {
	return &Guard{
		opts: opts, files: files, api: api, log: cmp.Or(opts.Log, slog.Default()),
		sessions: map[digest]*session{}, programs: newSession(), pauses: pauses{},
	}
}

const (
	maxBody  = 2 << 20 // bytes of a request to the API
	maxLogin = 4 << 10
	bodyTime = 30 * time.Second
)

// refusal is an answer that says no.
type refusal struct {
	status int
	text   string
	after  time.Duration // when it may be tried again; 0: any time
}

func (no *refusal) write(w http.ResponseWriter) {
	body, err := json.Marshal(map[string]string{"error": no.text})
	if err != nil {
		body = nil // a string is always JSON
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if no.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if no.after > 0 {
		h.Set("Retry-After", strconv.Itoa(int(no.after/time.Second)+1))
	}
	w.WriteHeader(no.status)
	if _, err := w.Write(append(body, '\n')); err != nil {
		return // the client went away
	}
}

// policy keeps a browser from loading or showing anything but this page alone.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store") // Files says otherwise of its own
}

// ServeHTTP implements http.Handler.
func (g *Guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if r.Body != http.NoBody { // else who sends slowly would hold the connection
		if http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) != nil {
			return
		}
	}
	if no := g.check(r); no != nil {
		no.write(w)
		return
	}
	probe := g.opts.Probes[r.URL.Path]
	switch {
	case probe != nil:
		probe.ServeHTTP(w, r)
	case r.URL.Path == "/metrics":
		g.serveMetrics(w, r)
	case r.URL.Path == "/login":
		g.login(w, r)
	case r.URL.Path == "/logout":
		g.logout(w, r)
	case strings.HasPrefix(r.URL.Path, "/v1/"):
		g.serveAPI(w, r)
	default:
		g.files.ServeHTTP(w, r)
	}
}

// check refuses what no honest client sends.
func (g *Guard) check(r *http.Request) *refusal {
	if no := g.checkHost(r); no != nil {
		return no
	}
	p := r.URL.Path
	if p != path.Clean(p) || !strings.HasPrefix(p, "/") || r.URL.RawPath != "" {
		return &refusal{status: http.StatusBadRequest, text: "the path of the request is written in a way that no page of this device has: write it plainly, such as /v1/status"}
	}
	posts := p == "/login" || p == "/logout" || strings.HasPrefix(p, "/v1/")
	switch {
	case r.Method == http.MethodPost && posts, r.Method == http.MethodGet && p != "/login" && p != "/logout", r.Method == http.MethodHead && !posts:
	default:
		return &refusal{status: http.StatusMethodNotAllowed, text: "this is asked with GET or POST, and nothing else; see docs/cli.md"}
	}
	file := !posts && p != "/metrics" && g.opts.Probes[p] == nil
	return checkOrigin(r, file)
}

// serveAPI answers who has logged in or shows the token, until that ends.
func (g *Guard) serveAPI(w http.ResponseWriter, r *http.Request) {
	s, no := g.who(r)
	if no == nil && !g.opts.Write {
		w.Header().Set("Skerry-Write", "off")
		no = checkLooking(r)
	}
	if no != nil {
		no.write(w)
		return
	}
	r, done, no := g.begin(s, r)
	if no != nil {
		no.write(w)
		return
	}
	defer done()
	if no := readBody(w, r, maxBody); no != nil {
		no.write(w)
		return
	}
	g.api.ServeHTTP(w, r)
}

// looks are what is asked with POST and changes nothing.
var looks = map[string]bool{
	"/v1/deadletters/list": true,
	"/v1/uplink/status":    true, "/v1/uplink/waiting": true, "/v1/uplink/why": true,
}

func checkLooking(r *http.Request) *refusal {
	if r.Method == http.MethodGet || looks[r.URL.Path] {
		return nil
	}
	return &refusal{status: http.StatusForbidden, text: "this page is for looking only (page.write: false): change things with the skerry command on the device"}
}

// readBody takes all of the body, so that a slow one holds up nobody but its
// connection.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) *refusal {
	if r.Body == http.NoBody {
		return nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return &refusal{status: http.StatusRequestEntityTooLarge, text: "the request has more than " + strconv.FormatInt(limit>>10, 10) + " KiB, or did not come whole: send less"}
	}
	if http.NewResponseController(w).SetReadDeadline(time.Time{}) != nil {
		return &refusal{status: http.StatusBadRequest, text: "the connection ended"}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// serveMetrics answers programs on this device, as they ask it by its own names,
// and who has logged in or shows the token.
func (g *Guard) serveMetrics(w http.ResponseWriter, r *http.Request) {
	if !here(r) {
		if _, no := g.who(r); no != nil {
			no.write(w)
			return
		}
	}
	g.opts.Metrics.ServeHTTP(w, r)
}
