// Command functions serves functions with Google's Functions Framework, as
// Cloud Functions does: a CloudEvent function at /event, an HTTP function at
// /http and a typed one at /typed. Those at …/error fail and those at …/crash
// panic.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/skerry-edge/skerry/internal/peers/book"
)

var errFunction = errors.New("the function failed")

func main() {
	for path, outcome := range map[string]func() error{
		"": func() error { return nil }, "/error": func() error { return errFunction }, "/crash": func() error { panic(errFunction) },
	} {
		register(path, outcome)
	}
	port, err := freePort()
	if err != nil {
		book.Die(err)
	}
	go func() { book.Die(funcframework.StartHostPort("127.0.0.1", strconv.Itoa(port))) }()
	book.Listening(answering(port))
	select {}
}

// register makes one function of each sort at …/path.
func register(path string, outcome func() error) {
	functions.CloudEvent("event"+path, func(_ context.Context, e cloudevents.Event) error {
		book.Write(book.Event("/event"+path, &e))
		return outcome()
	})
	functions.HTTP("http"+path, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		header := map[string]string{}
		for name := range r.Header {
			header[name] = r.Header.Get(name)
		}
		book.Write(book.Got{Path: r.URL.RequestURI(), Method: r.Method, Header: header, Data: body})
		if err := outcome(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	functions.Typed("typed"+path, func(in map[string]any) (map[string]any, error) {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		book.Write(book.Got{Path: "/typed" + path, Data: data})
		return in, outcome()
	})
}

// freePort is one that nobody listened on just now: the framework does not
// tell which one it was given.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// answering waits until the framework answers.
func answering(port int) net.Addr {
	to := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
	for {
		if c, err := net.Dial("tcp", to.String()); err == nil {
			c.Close()
			return to
		}
		time.Sleep(5 * time.Millisecond)
	}
}
