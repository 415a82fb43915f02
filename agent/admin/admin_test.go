package admin_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
)

func serve(t *testing.T, path string) { serveBox(t, path, &letters{}) }

func serveBox(t *testing.T, path string, box *letters) {
	serveAll(t, path, box, &events{}, &outboxes{})
}

func serveAll(t *testing.T, path string, box *letters, from *events, up *outboxes) {
	t.Helper()
	l, err := admin.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	h := admin.Handler(func() agent.Status { return agent.Status{Device: "gw7", Generation: 3} }, box, from, up)
	go func() { ended <- admin.Serve(ctx, l, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestStatusOverTheSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "skerry.sock")
	serve(t, path)
	s, err := admin.Status(context.Background(), path)
	if err != nil || s.Device != "gw7" || s.Generation != 3 {
		t.Fatalf("Status = %+v, %v", s, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("socket has mode %v, %v; want 0660", info.Mode(), err)
	}
	if _, err := admin.Listen(path); err == nil || !strings.Contains(err.Error(), "another agent") {
		t.Errorf("second Listen: %v", err)
	}
}

func TestSocketOfAKilledAgentIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "skerry.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	serve(t, path)
	if _, err := admin.Status(context.Background(), path); err != nil {
		t.Error(err)
	}
}

func TestErrorsNameTheNextStep(t *testing.T) {
	_, err := admin.Status(context.Background(), filepath.Join(t.TempDir(), "none.sock"))
	if !errors.Is(err, admin.ErrNoAgent) || !strings.Contains(err.Error(), "skerry run") {
		t.Errorf("Status without an agent: %v", err)
	}
	if _, err := admin.Listen("/" + strings.Repeat("x", 120)); err == nil || !strings.Contains(err.Error(), "shorter path") {
		t.Errorf("Listen on a long path: %v", err)
	}
}
