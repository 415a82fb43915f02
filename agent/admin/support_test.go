package admin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent/admin"
)

func TestSupportOverTheSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := admin.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	h := admin.WithSupport(http.NotFoundHandler(), func() admin.Support {
		return admin.Support{Kept: map[string]json.RawMessage{"deployment": json.RawMessage(`{"a":1}`)}}
	})
	go func() { ended <- admin.Serve(ctx, l, h) }()
	defer func() {
		cancel()
		<-ended
	}()
	s, err := admin.AskSupport(context.Background(), path)
	if err != nil || string(s.Kept["deployment"]) != `{"a":1}` || s.Memory.Heap == 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if !strings.Contains(s.Goroutines, "goroutine ") || !strings.Contains(s.Goroutines, "admin.Serve(…)") || strings.Contains(s.Goroutines, "(0x") {
		t.Errorf("stacks: %s", s.Goroutines)
	}
	if data, err := admin.Get(context.Background(), path, "/v1/support"); err != nil || !json.Valid(data) {
		t.Errorf("Get: %s, %v", data, err)
	}
	if _, err := admin.Get(context.Background(), path, "/v1/none"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("Get of nothing: %v", err)
	}
}
