package sensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// posting answers requests while the source runs.
type posting struct {
	*HTTP
	offer agent.Offer
	stop  <-chan struct{}
}

// refusal is a request that was not taken, and why.
type refusal struct {
	status int
	Error  string   `json:"error"`
	Paths  []string `json:"paths,omitempty"` // of triggers, where the one asked for has none
	after  int      // seconds before the caller should try again; 0: not at all
}

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, Error: fmt.Sprintf(format, args...)}
}

func later(status, after int, format string, args ...any) *refusal {
	r := refuse(status, format, args...)
	r.after = after
	return r
}

func (p *posting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	deadlines, until := http.NewResponseController(w), time.Now().Add(bodyTime)
	deadlines.SetReadDeadline(until)                  // these work on the server's own connections
	deadlines.SetWriteDeadline(until.Add(answerTime)) // one of the last answer may be over
	c, no := p.take(w, r)
	var a reply
	if no == nil {
		deadlines.SetReadDeadline(time.Time{}) // what is awaited now is not the caller's doing
		a, no = p.await(r, c)
	}
	deadlines.SetWriteDeadline(time.Now().Add(answerTime))
	if no != nil {
		p.counts.add(no.status)
		a = no.reply()
	}
	a.write(w)
}

const inPath = "/in/"

// take makes an event of a request and offers it.
func (p *posting) take(w http.ResponseWriter, r *http.Request) (*call, *refusal) {
	if wait := p.rates.take(clientOf(r), time.Now()); wait > 0 {
		return nil, later(http.StatusTooManyRequests, 1+int(wait/time.Second), "more than %g requests a second", p.opts.Rate)
	}
	if no := p.admit(r); no != nil {
		return nil, no
	}
	path, no := p.path(r)
	if no != nil {
		return nil, no
	}
	wait, no := waitOf(r)
	if no != nil {
		return nil, no
	}
	if r.Header.Get("Content-Encoding") != "" {
		return nil, refuse(http.StatusUnsupportedMediaType, "a body has to come as it is, without Content-Encoding")
	}
	free, no := p.reserve(r)
	if no != nil {
		return nil, no
	}
	body, no := p.read(w, r)
	if no != nil {
		free()
		return nil, no
	}
	ev, err := p.event(r, path, body)
	if err != nil {
		free()
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	return p.call(ev, wait, free), nil
}

// path is what stands behind /in/, if a trigger takes it.
func (p *posting) path(r *http.Request) (string, *refusal) {
	path, ok := strings.CutPrefix(r.URL.Path, inPath)
	if !ok {
		return "", refuse(http.StatusNotFound, "events are posted to /in/ and a path")
	}
	if r.Method != http.MethodPost {
		return "", refuse(http.StatusMethodNotAllowed, "events are posted: use POST, not %s", r.Method)
	}
	if strings.Contains(strings.ToLower(r.URL.EscapedPath()), "%2f") { // it would count as two levels
		return "", refuse(http.StatusBadRequest, "the path may not hold %%2F")
	}
	if err := agent.CheckTopic(path); err != nil {
		return "", refuse(http.StatusBadRequest, "the path is no topic: %v", err)
	}
	if !p.wants(path) {
		no := refuse(http.StatusNotFound, "no trigger takes %q", path)
		no.Paths, _ = p.now()
		return "", no
	}
	return path, nil
}

// reserve finds room for one more event; free gives it back.
func (p *posting) reserve(r *http.Request) (free func(), no *refusal) {
	size := r.ContentLength
	if size < 0 {
		size = p.opts.MaxBody
	}
	if size > p.opts.MaxBody {
		return nil, p.tooLarge()
	}
	select {
	case p.slots <- struct{}{}:
	default:
		return nil, later(http.StatusServiceUnavailable, 1, "%d requests wait already", p.opts.MaxWaiting)
	}
	if p.bodies.Add(size) > max(bodyBudget, p.opts.MaxBody) {
		p.bodies.Add(-size)
		<-p.slots
		return nil, later(http.StatusServiceUnavailable, 1, "too many bytes wait already")
	}
	return sync.OnceFunc(func() {
		p.bodies.Add(-size)
		<-p.slots
	}), nil
}

func (p *posting) tooLarge() *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "a body has at most %d bytes", p.opts.MaxBody)
}

func (p *posting) read(w http.ResponseWriter, r *http.Request) ([]byte, *refusal) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, p.opts.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, p.tooLarge()
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body ends early: %v", err)
	}
	return body, nil
}

// reply is what a caller gets.
type reply struct {
	status int
	kind   string // media type
	body   []byte
	after  int // seconds for Retry-After; 0: none
}

func (a *reply) write(w http.ResponseWriter) {
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store")
	if a.kind != "" {
		head.Set("Content-Type", a.kind)
	}
	if a.after > 0 {
		head.Set("Retry-After", strconv.Itoa(a.after))
	}
	switch a.status {
	case http.StatusUnauthorized:
		head.Set("WWW-Authenticate", "Bearer")
	case http.StatusMethodNotAllowed:
		head.Set("Allow", http.MethodPost)
	}
	w.WriteHeader(a.status)
	w.Write(a.body) // a caller that went away has no use for it
}

func (r *refusal) reply() reply { return jsonReply(r.status, r.after, r) }

func jsonReply(status, after int, v any) reply {
	var body bytes.Buffer
	text := json.NewEncoder(&body)
	text.SetEscapeHTML(false) // people read it
	text.Encode(v)            // texts always encode
	return reply{status: status, kind: "application/json", body: body.Bytes(), after: after}
}
