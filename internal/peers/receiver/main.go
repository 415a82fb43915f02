// Command receiver takes CloudEvents in by their Go SDK: binary and structured
// ones at /, batches too. It answers 202, 400 to what the SDK finds fault
// with, and the status N at /status/N.
package main

import (
	"cmp"
	"net"
	"net/http"
	"strconv"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/skerry-edge/skerry/internal/peers/book"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		book.Die(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) { receive(w, r, http.StatusAccepted) })
	mux.HandleFunc("POST /status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.PathValue("code"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		receive(w, r, code)
	})
	book.Listening(l.Addr())
	book.Die(http.Serve(l, mux))
}

// receive notes the events of a request and answers code when all are sound.
func receive(w http.ResponseWriter, r *http.Request, code int) {
	events, err := read(r)
	for i := range events {
		err = cmp.Or(err, events[i].Validate())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for i := range events {
		book.Write(book.Event(r.URL.Path, &events[i]))
	}
	w.WriteHeader(code)
}

func read(r *http.Request) ([]cloudevents.Event, error) {
	if cloudevents.IsHTTPBatch(r.Header) {
		return cloudevents.NewEventsFromHTTPRequest(r)
	}
	e, err := cloudevents.NewEventFromHTTPRequest(r)
	if err != nil {
		return nil, err
	}
	return []cloudevents.Event{*e}, nil
}
