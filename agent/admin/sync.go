package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Sync is the fleet's sync, as it can be asked to do something now.
type Sync interface {
	// Sync looks for something new, and gives how sync stands then. Its error says
	// why nothing new was taken.
	Sync(ctx context.Context, ask SyncRequest) (agent.SyncStatus, error)
}

// SyncRequest is the body of POST /v1/sync.
type SyncRequest struct {
	From  string `json:"from,omitempty"`  // an OCI layout's folder on the device, instead of the registry
	Retry string `json:"retry,omitempty"` // an app whose refused version is tried again
}

// syncAnswer is what comes back.
type syncAnswer struct {
	Status agent.SyncStatus `json:"status"`
	Error  string           `json:"error,omitempty"`
}

// maxSync is how long a round may take that somebody waits for.
const maxSync = time.Hour

// WithSync has h answer POST /v1/sync too.
func WithSync(h http.Handler, s Sync) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("POST /v1/sync", func(w http.ResponseWriter, r *http.Request) {
		var in SyncRequest
		if !read(w, r, maxAsk, &in) {
			return
		}
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(maxSync)); err != nil {
			return // the client went away
		}
		status, err := s.Sync(r.Context(), in)
		out := syncAnswer{Status: status}
		if err != nil {
			out.Error = err.Error()
		}
		answer(w, out)
	})
	return mux
}

// SyncNow asks the agent behind the socket at path. refused is why nothing new was
// taken, "" if nothing stood against it; err that the agent could not be asked.
func SyncNow(ctx context.Context, path string, ask SyncRequest) (status agent.SyncStatus, refused string, err error) {
	var out syncAnswer
	err = callWithin(ctx, maxSync, path, http.MethodPost, "/v1/sync", ask, &out)
	return out.Status, out.Error, err
}
