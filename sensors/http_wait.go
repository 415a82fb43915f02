package sensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
)

const (
	maxKeep = 10 * time.Second // a request waits so long for its event to be durable
	maxCall = time.Minute      // and so long for the result of a function
)

// call is an event whose request waits.
type call struct {
	ev   *agent.Event
	at   time.Time
	wait time.Duration // for the result; 0: the caller does not want it
	kept chan error    // capacity 1: what the agent says of the event
	told chan told     // capacity 1: what became of it
	idle bool          // the event was done with at once: nothing runs for it
}

// told is what Event.Answer was.
type told struct {
	result []byte
	err    error
}

// waitOf is how long the caller wants to wait for the result: "?wait=10s", or
// "Prefer: wait=10" (seconds, RFC 7240).
func waitOf(r *http.Request) (time.Duration, *refusal) {
	if text := r.URL.Query().Get("wait"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return 0, refuse(http.StatusBadRequest, "wait is a duration such as 10s, not %q", text)
		}
		return min(d, maxCall), nil
	}
	for _, line := range r.Header.Values("Prefer") {
		for one := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(one), "=")
			n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 16)
			if strings.EqualFold(name, "wait") && err == nil { // what is no number is ignored, as the RFC says
				return min(time.Duration(n)*time.Second, maxCall), nil
			}
		}
	}
	return 0, nil
}

// call offers an event; free is called once it is durable or refused.
func (p *posting) call(ev *agent.Event, wait time.Duration, free func()) *call {
	c := &call{ev: ev, at: time.Now(), wait: wait, kept: make(chan error, 1), told: make(chan told, 1)}
	if wait > 0 {
		ev.Answer = func(result []byte, err error) {
			select {
			case c.told <- told{append([]byte(nil), result...), err}:
			default: // only the first counts
			}
		}
	}
	p.offer(ev, func(err error) {
		c.kept <- err
		free()
	})
	c.idle = len(c.kept) > 0 // no trigger's condition held, or the event came again
	return c
}

// await waits for what is to be answered.
func (p *posting) await(r *http.Request, c *call) (reply, *refusal) {
	slow := time.NewTimer(maxKeep)
	defer slow.Stop()
	select {
	case err := <-c.kept:
		if err != nil {
			return reply{}, notKept(err)
		}
	case <-r.Context().Done():
		return reply{}, refuse(statusGone, "the caller went away")
	case <-slow.C:
		return reply{}, later(http.StatusServiceUnavailable, 5, "the event is not on disk after %s; it may still come to be", maxKeep)
	}
	return p.result(r, c), nil
}

// statusGone is for the counters alone: nobody is there to be answered.
const statusGone = 499

func notKept(err error) *refusal {
	if errors.Is(err, agent.ErrDeliveredAgain) {
		return refuse(http.StatusConflict, "the same request came again since; that one is answered")
	}
	return later(http.StatusServiceUnavailable, 1, "the event could not be kept: %v", err)
}

// result is the answer for an event that is durable.
func (p *posting) result(r *http.Request, c *call) reply {
	if c.ev.ID == "" && c.idle {
		return reply{status: http.StatusNoContent} // nobody wanted it
	}
	patience := time.Until(c.at.Add(c.wait))
	if c.ev.ID == "" || c.idle { // it came before, and its result went there
		patience = 0
	}
	select {
	case t := <-c.told:
		return t.reply()
	default:
	}
	if patience > 0 {
		enough := time.NewTimer(patience)
		defer enough.Stop()
		select {
		case t := <-c.told:
			return t.reply()
		case <-enough.C:
		case <-p.stop:
		case <-r.Context().Done():
		}
	}
	return jsonReply(http.StatusAccepted, 0, accepted{c.ev.ID})
}

// accepted is the answer to a caller that does not wait.
type accepted struct {
	ID string `json:"id,omitempty"` // of the event
}

func (t told) reply() reply {
	switch {
	case t.err != nil:
		return jsonReply(http.StatusUnprocessableEntity, 0, refusal{Error: t.err.Error()})
	case len(t.result) == 0:
		return reply{status: http.StatusNoContent}
	}
	return reply{status: http.StatusOK, kind: resultType(t.result), body: t.result}
}

// resultType is the media type of a function's result.
func resultType(result []byte) string {
	switch {
	case json.Valid(result):
		return "application/json"
	case utf8.Valid(result):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// AnswerOf is what a caller that waits gets for what a trigger made of its event (see
// agent.Event.Answer): an HTTP status, and a body, nil where there is none.
func AnswerOf(result []byte, err error) (status int, body []byte) {
	r := told{result, err}.reply()
	if err != nil {
		r.body = bytes.TrimSuffix(r.body, []byte("\n"))
	}
	return r.status, r.body
}
