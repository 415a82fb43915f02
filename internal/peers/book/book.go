// Package book is what the peers tell whoever started them, on standard output:
// "listening 127.0.0.1:PORT" once they answer there, and a line "got " with
// JSON for each thing that reached them.
package book

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
)

// Got is one thing that reached a peer: a CloudEvent as its SDK read it, or a
// plain HTTP request.
type Got struct {
	Path        string            `json:"path"`
	Method      string            `json:"method,omitempty"`
	Header      map[string]string `json:"header,omitempty"` // first values
	ID          string            `json:"id,omitempty"`
	Source      string            `json:"source,omitempty"`
	Type        string            `json:"type,omitempty"`
	Subject     string            `json:"subject,omitempty"`
	Time        time.Time         `json:"time,omitzero"`
	ContentType string            `json:"content_type,omitempty"`
	Extensions  map[string]any    `json:"extensions,omitempty"`
	Data        []byte            `json:"data"` // base64
}

// Event is what the SDK read.
func Event(path string, e *cloudevents.Event) Got {
	return Got{
		Path: path, ID: e.ID(), Source: e.Source(), Type: e.Type(), Subject: e.Subject(), Time: e.Time(),
		ContentType: e.DataContentType(), Extensions: e.Extensions(), Data: e.Data(),
	}
}

var mu sync.Mutex

// Write notes what was got.
func Write(g Got) {
	line, err := json.Marshal(g)
	if err != nil {
		panic(err) // it holds nothing that JSON cannot say
	}
	mu.Lock()
	defer mu.Unlock()
	fmt.Printf("got %s\n", line)
}

// Listening says where the peer answers.
func Listening(addr net.Addr) {
	mu.Lock()
	defer mu.Unlock()
	fmt.Printf("listening %s\n", addr)
}

// Die ends the program with why it cannot go on.
func Die(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
