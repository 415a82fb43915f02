package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Uplink is what waits for targets. A target is named even if it is not
// configured any more, as long as records wait for it.
type Uplink interface {
	UplinkStatus() (agent.UplinkStatus, error)
	// Waiting gives the records that f chooses, in the order in which they go,
	// with their data if f names IDs. An ID that is not there is an error.
	Waiting(ctx context.Context, target string, f agent.WaitingFilter) ([]agent.Waiting, error)
	// Why says in sentences what happens to what waits for the target or, unless
	// id is 0, to that record. No target is all of them.
	Why(target string, id uint64) ([]string, error)
	Drop(ctx context.Context, target string, f agent.WaitingFilter) (int, error)
	Retry(ctx context.Context, target string) error
	Pause(ctx context.Context, target string) error
	Resume(ctx context.Context, target string) error
}

// uplinkRequest is the body of POST /v1/uplink/{status,waiting,why,drop,retry,pause,resume}.
type uplinkRequest struct {
	Target string              `json:"target,omitempty"`
	ID     uint64              `json:"id,omitempty"` // why
	Filter agent.WaitingFilter `json:"filter"`       // waiting, drop
}

// uplinkAnswer is what comes back. Error says why not all was done.
type uplinkAnswer struct {
	Status  *agent.UplinkStatus `json:"status,omitempty"`
	Waiting []agent.Waiting     `json:"waiting,omitempty"`
	Why     []string            `json:"why,omitempty"`
	Count   int                 `json:"count"` // records that were dropped
	Error   string              `json:"error,omitempty"`
}

// maxLook is how long looking through a backlog may take: a million records, on
// a slow device.
const maxLook = 10 * time.Minute

// serveUplink answers requests about what waits for targets.
func serveUplink(mux *http.ServeMux, up Uplink) {
	mux.HandleFunc("POST /v1/uplink/{action}", func(w http.ResponseWriter, r *http.Request) {
		var in uplinkRequest
		if !read(w, r, maxRequest, &in) {
			return
		}
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(maxLook)); err != nil {
			return // the client went away
		}
		out, known, err := in.do(r.Context(), r.PathValue("action"), up)
		if !known {
			http.NotFound(w, r)
			return
		}
		if err != nil {
			out.Error = err.Error()
		}
		answer(w, out)
	})
}

func (in *uplinkRequest) do(ctx context.Context, action string, up Uplink) (out uplinkAnswer, known bool, err error) {
	switch action {
	case "status":
		var s agent.UplinkStatus
		s, err = up.UplinkStatus()
		out.Status = &s
	case "waiting":
		out.Waiting, err = up.Waiting(ctx, in.Target, in.Filter)
	case "why":
		out.Why, err = up.Why(in.Target, in.ID)
	case "drop":
		out.Count, err = up.Drop(ctx, in.Target, in.Filter)
	case "retry":
		err = up.Retry(ctx, in.Target)
	case "pause":
		err = up.Pause(ctx, in.Target)
	case "resume":
		err = up.Resume(ctx, in.Target)
	default:
		return out, false, nil
	}
	return out, true, err
}

// Outboxes are those of the agent behind the socket at Path; their methods do
// what Uplink says.
type Outboxes struct{ Path string }

// UplinkStatus implements Uplink.
func (o Outboxes) UplinkStatus() (agent.UplinkStatus, error) {
	out, err := o.ask(context.Background(), "status", uplinkRequest{})
	if err != nil || out.Status == nil {
		return agent.UplinkStatus{}, err
	}
	return *out.Status, nil
}

// Waiting implements Uplink.
func (o Outboxes) Waiting(ctx context.Context, target string, f agent.WaitingFilter) ([]agent.Waiting, error) {
	out, err := o.ask(ctx, "waiting", uplinkRequest{Target: target, Filter: f})
	return out.Waiting, err
}

// Why implements Uplink.
func (o Outboxes) Why(target string, id uint64) ([]string, error) {
	out, err := o.ask(context.Background(), "why", uplinkRequest{Target: target, ID: id})
	return out.Why, err
}

// Drop implements Uplink.
func (o Outboxes) Drop(ctx context.Context, target string, f agent.WaitingFilter) (int, error) {
	out, err := o.ask(ctx, "drop", uplinkRequest{Target: target, Filter: f})
	return out.Count, err
}

// Retry implements Uplink.
func (o Outboxes) Retry(ctx context.Context, target string) error {
	_, err := o.ask(ctx, "retry", uplinkRequest{Target: target})
	return err
}

// Pause implements Uplink.
func (o Outboxes) Pause(ctx context.Context, target string) error {
	_, err := o.ask(ctx, "pause", uplinkRequest{Target: target})
	return err
}

// Resume implements Uplink.
func (o Outboxes) Resume(ctx context.Context, target string) error {
	_, err := o.ask(ctx, "resume", uplinkRequest{Target: target})
	return err
}

func (o Outboxes) ask(ctx context.Context, action string, in uplinkRequest) (out uplinkAnswer, err error) {
	within := patience
	if action == "waiting" || action == "drop" {
		within = maxLook
	}
	err = callWithin(ctx, within, o.Path, http.MethodPost, "/v1/uplink/"+action, in, &out)
	if err == nil && out.Error != "" {
		err = errors.New(out.Error)
	}
	return out, err
}
