package admin

import (
	"context"
	"errors"
	"net/http"

	"github.com/skerry-edge/skerry/agent"
)

// Letters is a dead-letter box; agent.DeadBox says what its methods do.
type Letters interface {
	List(f agent.DeadFilter) ([]agent.DeadLetter, error)
	Redrive(ctx context.Context, f agent.DeadFilter, data []byte) (int, error)
	Drop(ctx context.Context, f agent.DeadFilter) (int, error)
}

// letterRequest is the body of POST /v1/deadletters/{list,redrive,drop}.
type letterRequest struct {
	agent.DeadFilter
	Data []byte `json:"data"` // redrive: in the place of the letter's; null leaves it
}

// letterAnswer is what comes back. Error says why not all was done.
type letterAnswer struct {
	Letters []agent.DeadLetter `json:"letters,omitempty"`
	Count   int                `json:"count"` // letters that were redriven or dropped
	Error   string             `json:"error,omitempty"`
}

// serveLetters answers requests about the box.
func serveLetters(mux *http.ServeMux, box Letters) {
	mux.HandleFunc("POST /v1/deadletters/{action}", func(w http.ResponseWriter, r *http.Request) {
		var in letterRequest
		if !read(w, r, maxRequest, &in) {
			return
		}
		var out letterAnswer
		var err error
		switch r.PathValue("action") {
		case "list":
			out.Letters, err = box.List(in.DeadFilter)
		case "redrive":
			out.Count, err = box.Redrive(r.Context(), in.DeadFilter, in.Data)
		case "drop":
			out.Count, err = box.Drop(r.Context(), in.DeadFilter)
		default:
			http.NotFound(w, r)
			return
		}
		if err != nil {
			out.Error = err.Error()
		}
		answer(w, out)
	})
}

// Box is the dead-letter box of the agent behind the socket at Path.
type Box struct{ Path string }

// List asks the agent for letters.
func (b Box) List(f agent.DeadFilter) ([]agent.DeadLetter, error) {
	out, err := b.ask(context.Background(), "list", letterRequest{DeadFilter: f})
	return out.Letters, err
}

// Redrive has the agent send letters back to where they came from.
func (b Box) Redrive(ctx context.Context, f agent.DeadFilter, data []byte) (int, error) {
	out, err := b.ask(ctx, "redrive", letterRequest{f, data})
	return out.Count, err
}

// Drop has the agent remove letters.
func (b Box) Drop(ctx context.Context, f agent.DeadFilter) (int, error) {
	out, err := b.ask(ctx, "drop", letterRequest{DeadFilter: f})
	return out.Count, err
}

func (b Box) ask(ctx context.Context, action string, in letterRequest) (out letterAnswer, err error) {
	err = call(ctx, b.Path, http.MethodPost, "/v1/deadletters/"+action, in, &out)
	if err == nil && out.Error != "" {
		err = errors.New(out.Error)
	}
	return out, err
}
