package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// maxSocketPath is what Linux allows for the path of a unix socket.
const maxSocketPath = 107

// Handler serves GET /v1/status as JSON (agent.Status), the dead-letter box at
// POST /v1/deadletters/{list,redrive,drop}, GET /v1/events as a recording, and
// what waits for targets at POST /v1/uplink/{status,waiting,why,drop,retry,pause,resume}.
func Handler(status func() agent.Status, box Letters, events Events, up Uplink) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { answer(w, status()) })
	serveLetters(mux, box)
	serveEvents(mux, status, events)
	serveUplink(mux, up)
	return mux
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(body); err != nil {
		return // the client went away
	}
}

// Listen opens the socket at path, for the owner and group of the agent only. A
// socket that a killed agent left behind is replaced; one that answers is not.
func Listen(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("admin.socket %q is longer than the %d bytes a unix socket may have: set a shorter path", path, maxSocketPath)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("another agent answers on %s: stop it, or set another admin.socket", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the old admin socket: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("make a folder for the admin socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open the admin socket: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(fmt.Errorf("restrict the admin socket: %w", err), l.Close())
	}
	return l, nil
}

// Serve answers on l until ctx ends.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	if err := Until(ctx, &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: patience}, l); err != nil {
		return fmt.Errorf("serve the admin socket: %w", err)
	}
	return nil
}

// ErrNoAgent reports that nobody answers on the socket.
var ErrNoAgent = errors.New("no agent answers")

// Status asks the agent behind the socket at path.
func Status(ctx context.Context, path string) (s agent.Status, err error) {
	err = call(ctx, path, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}

func noAgent(path string, err error) error {
	return fmt.Errorf("%w on %s: start one with skerry run, or name its socket with --socket (%w)", ErrNoAgent, path, err)
}

// patience is how long most answers may take.
const patience = 10 * time.Second

// call sends in as JSON to the agent behind the socket at path, and reads its
// answer into out.
func call(ctx context.Context, path, method, route string, in, out any) error {
	return callWithin(ctx, patience, path, method, route, in, out)
}

func callWithin(ctx context.Context, within time.Duration, path, method, route string, in, out any) error {
	client := &http.Client{Timeout: within, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}
	defer client.CloseIdleConnections()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://skerry"+route, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return noAgent(path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the agent answered %s", resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	return nil
}
