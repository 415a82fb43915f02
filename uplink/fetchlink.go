package uplink

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// longestTurn is how long a request waits for its turn on the link; a function
// holds an instance meanwhile.
const longestTurn = 5 * time.Second

// admit waits for the turn of a request on the link. Beyond a budget it fails,
// with an error that names the budget.
func (f *Fetcher) admit(ctx context.Context, function string, size int) error {
	if f.link == nil {
		return nil
	}
	for end := time.Now().Add(longestTurn); ; {
		no := f.link.Admit(agent.DefaultWay.Priority, function, size)
		if no == nil {
			return nil
		}
		if deadline, ok := ctx.Deadline(); no.At.After(end) || ok && no.At.After(deadline) {
			return fmt.Errorf("%s: %w", no.Why, agent.ErrLimit)
		}
		select {
		case <-time.After(time.Until(no.At)):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", no.Why, agent.ErrLimit)
		}
	}
}

func (f *Fetcher) spent(function string, admitted, took int) {
	if f.link != nil {
		f.link.Spent(function, admitted, took)
	}
}

// requestSize is about what a request has beside what each one has.
func requestSize(req *http.Request, r *agent.HTTPRequest) int {
	n := len(req.URL.RequestURI()) + len(r.Body)
	for _, h := range r.Header {
		n += len(h.Name) + len(h.Value)
	}
	return n
}

// answerSize is about what the body of an answer took: as it was sent, if the
// far side said how long it is, or else as it was read.
func answerSize(resp *http.Response, a *agent.HTTPResponse) int {
	switch {
	case resp.Request.Method == http.MethodHead:
		return 0
	case resp.ContentLength > 0:
		return int(min(resp.ContentLength, maxFetched))
	case a != nil:
		return len(a.Body)
	}
	return 0
}
