package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"runtime"
	"time"
)

// Support is what only the agent itself can tell about its insides, for who looks for
// a fault. It holds no data of events and no credentials.
type Support struct {
	Kept       map[string]json.RawMessage `json:"kept,omitempty"` // documents of the fleet, by name
	Files      []DataFile                 `json:"files,omitempty"`
	Goroutines string                     `json:"goroutines,omitempty"` // their stacks, without arguments
	Memory     *Memory                    `json:"memory,omitempty"`
	Error      string                     `json:"error,omitempty"` // why something is missing
}

// DataFile is a file of the data directory.
type DataFile struct {
	Path     string    `json:"path"` // below the directory
	Bytes    int64     `json:"bytes"`
	Mode     string    `json:"mode"`
	Modified time.Time `json:"modified"`
}

// Memory is what the Go runtime says of its memory, bytes.
type Memory struct {
	Go         string `json:"go"` // version
	Goroutines int    `json:"goroutines"`
	Heap       uint64 `json:"heap"`
	HeapIdle   uint64 `json:"heap_idle"`
	Stacks     uint64 `json:"stacks"`
	System     uint64 `json:"system"` // all that was asked of the kernel
	Collected  uint32 `json:"collected"`
	PausedNS   uint64 `json:"paused_ns"` // by collections, in all
}

// WithSupport has h answer GET /v1/support (Support) too; stacks and memory are those
// of this process.
func WithSupport(h http.Handler, support func() Support) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("GET /v1/support", func(w http.ResponseWriter, _ *http.Request) {
		s := support()
		s.Goroutines, s.Memory = stacks(), memory()
		answer(w, s)
	})
	return mux
}

// AskSupport asks the agent behind the socket at path.
func AskSupport(ctx context.Context, path string) (s Support, err error) {
	err = call(ctx, path, http.MethodGet, "/v1/support", nil, &s)
	return s, err
}

// Get asks the agent behind the socket at path for the JSON at a route.
func Get(ctx context.Context, path, route string) (data json.RawMessage, err error) {
	err = call(ctx, path, http.MethodGet, route, nil, &data)
	return data, err
}

const maxStacks = 1 << 20 // bytes

// stacks are those of all goroutines. The words that functions were called with are
// left out: pieces of memory say nothing to a reader, and nobody knows of what.
func stacks() string {
	buf := make([]byte, maxStacks)
	var out bytes.Buffer
	for line := range bytes.Lines(buf[:runtime.Stack(buf, true)]) {
		if called := bytes.LastIndexByte(line, '('); called > 0 && line[0] != '\t' && bytes.HasSuffix(line, []byte(")\n")) {
			line = append(line[:called:called], "(…)\n"...)
		}
		out.Write(line)
	}
	return out.String()
}

func memory() *Memory {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return &Memory{
		Go: runtime.Version(), Goroutines: runtime.NumGoroutine(), Heap: m.HeapAlloc, HeapIdle: m.HeapIdle - m.HeapReleased,
		Stacks: m.StackSys, System: m.Sys, Collected: m.NumGC, PausedNS: m.PauseTotalNs,
	}
}
