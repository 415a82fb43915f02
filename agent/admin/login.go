package admin

import (
	"context"
	"errors"
	"net/http"
)

// loginAnswer is what POST /v1/login gives. Error says why there is no link.
type loginAnswer struct {
	URL   string `json:"url,omitempty"`
	Error string `json:"error,omitempty"`
}

// WithLogin has h answer POST /v1/login too, with a link that lets its finder in to
// the page. It is for the socket alone: whoever can open that may do everything.
func WithLogin(h http.Handler, link func() (string, error)) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("POST /v1/login", func(w http.ResponseWriter, _ *http.Request) {
		url, err := link()
		out := loginAnswer{URL: url}
		if err != nil {
			out.Error = err.Error()
		}
		answer(w, out)
	})
	return mux
}

// Login asks the agent behind the socket at path for a link to its page, which is
// good once and for two minutes.
func Login(ctx context.Context, path string) (url string, err error) {
	var out loginAnswer
	err = call(ctx, path, http.MethodPost, "/v1/login", nil, &out)
	if err == nil && out.Error != "" {
		err = errors.New(out.Error)
	}
	return out.URL, err
}
