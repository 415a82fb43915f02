package admin

import (
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

// Handler serves GET /v1/status as JSON (agent.Status).
func Handler(status func() agent.Status) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		body, err := json.Marshal(status())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if _, err := w.Write(body); err != nil {
			return // the client went away
		}
	})
	return mux
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
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
	stopped := make(chan struct{})
	defer func() { <-stopped }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(stopped)
		<-ctx.Done()
		srv.Close() // closes l too; there is nothing to wait for
	}()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the admin socket: %w", err)
	}
	return nil
}

// Status asks the agent behind the socket at path.
func Status(ctx context.Context, path string) (agent.Status, error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://skerry/v1/status", nil)
	if err != nil {
		return agent.Status{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return agent.Status{}, fmt.Errorf("no agent answers on %s: start one with skerry run, or name its socket with --socket (%w)", path, err)
	}
	defer resp.Body.Close()
	var s agent.Status
	if resp.StatusCode != http.StatusOK {
		return s, fmt.Errorf("the agent answered %s", resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		return s, fmt.Errorf("read the agent's answer: %w", err)
	}
	return s, nil
}
