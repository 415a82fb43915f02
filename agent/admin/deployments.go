package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Deployments is what the device ran when, and how a person takes an app back.
type Deployments interface {
	Deployments() agent.Deployments
	// RollBack has an app run the version before. Its error is a sentence that says
	// why not.
	RollBack(ctx context.Context, app string) (RolledBack, error)
}

// RolledBack is what was taken back.
type RolledBack struct {
	App  string `json:"app"`
	From string `json:"from"` // version that ran
	To   string `json:"to"`   // version that runs again
}

// rollbackRequest is the body of POST /v1/deployments/rollback.
type rollbackRequest struct {
	App string `json:"app"`
}

type rollbackAnswer struct {
	RolledBack
	Error string `json:"error,omitempty"`
}

// maxSwitch is how long going back may take: its modules may have to be compiled.
const maxSwitch = 10 * time.Minute

// WithDeployments has h answer GET /v1/deployments (agent.Deployments) and POST
// /v1/deployments/rollback too.
func WithDeployments(h http.Handler, d Deployments) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("GET /v1/deployments", func(w http.ResponseWriter, _ *http.Request) { answer(w, d.Deployments()) })
	mux.HandleFunc("POST /v1/deployments/rollback", func(w http.ResponseWriter, r *http.Request) {
		var in rollbackRequest
		if !read(w, r, maxAsk, &in) {
			return
		}
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(maxSwitch)); err != nil {
			return // the client went away
		}
		// Once it has begun it is finished, whoever waits for the answer.
		done, err := d.RollBack(context.WithoutCancel(r.Context()), in.App)
		out := rollbackAnswer{RolledBack: done}
		if err != nil {
			out.Error = err.Error()
		}
		answer(w, out)
	})
	return mux
}

// ListDeployments asks the agent behind the socket at path.
func ListDeployments(ctx context.Context, path string) (d agent.Deployments, err error) {
	err = call(ctx, path, http.MethodGet, "/v1/deployments", nil, &d)
	return d, err
}

// RollBack asks the agent behind the socket at path to take an app back.
func RollBack(ctx context.Context, path, app string) (RolledBack, error) {
	var out rollbackAnswer
	err := callWithin(ctx, maxSwitch, path, http.MethodPost, "/v1/deployments/rollback", rollbackRequest{app}, &out)
	if err == nil && out.Error != "" {
		err = errors.New(out.Error)
	}
	return out.RolledBack, err
}
