package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// Tries runs functions of the device for who tries them.
type Tries interface {
	// Try gives what skerry invoke -o json prints of one event, or, if the request
	// says commit, which triggers took it and what came of it. Its error is a sentence.
	Try(ctx context.Context, r TryRequest) (any, error)
}

// TryRequest is the body of POST /v1/try.
type TryRequest struct {
	Function string   `json:"function"` // app/function
	Event    TryEvent `json:"event"`
	Commit   bool     `json:"commit,omitempty"` // as an event of a source: it is kept and sent what comes of it
	HTTP     bool     `json:"http,omitempty"`   // without commit: requests of the function are made
}

// TryEvent is an event, as far as a person says it. Data is JSON; a text there is JSON
// too, unless the content type says otherwise.
type TryEvent struct {
	ID          string          `json:"id,omitempty"` // "": one of its own
	Type        string          `json:"type,omitempty"`
	Subject     string          `json:"subject"`
	Via         string          `json:"via,omitempty"` // "": that of the function's trigger that takes it
	ContentType string          `json:"contentType,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"` // or
	DataBase64  []byte          `json:"data_base64,omitempty"`
}

// How long a try may take, with what is compiled for it, and how large it may be.
const (
	TryFor  = 30 * time.Second // the agent tries no longer than this
	maxTry  = time.Minute      // for the answer
	tryData = 4 << 20          // bytes
)

// WithTry has h answer POST /v1/try too.
func WithTry(h http.Handler, t Tries) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("POST /v1/try", func(w http.ResponseWriter, r *http.Request) {
		var in TryRequest
		if !read(w, r, tryData, &in) {
			return
		}
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(maxTry)); err != nil {
			return // the client went away
		}
		out, err := t.Try(r.Context(), in)
		if err != nil {
			out = map[string]string{"error": err.Error()}
		}
		answer(w, out)
	})
	return mux
}

// Try has the agent behind the socket at path try an event, and reads its report into
// out. err says why there is none.
func Try(ctx context.Context, path string, ask TryRequest, out any) error {
	var report json.RawMessage
	if err := callWithin(ctx, maxTry, path, http.MethodPost, "/v1/try", ask, &report); err != nil {
		return err
	}
	var refused struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(report, &refused); err == nil && refused.Error != "" {
		return errors.New(refused.Error)
	}
	return json.Unmarshal(report, out)
}
