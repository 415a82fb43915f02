package admin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent/admin"
	"github.com/skerry-edge/skerry/internal/logbook"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// serveBook answers for a book on a socket.
func serveBook(t *testing.T) (log *slog.Logger, path string) {
	t.Helper()
	book := logbook.New(logbook.Options{Level: slog.LevelDebug})
	path = filepath.Join(t.TempDir(), "s")
	l, err := admin.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- admin.Serve(ctx, l, admin.WithLogs(http.NotFoundHandler(), book)) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return slog.New(book.Handler(slog.NewTextHandler(io.Discard, nil))), path
}

func TestLogs(t *testing.T) {
	log, path := serveBook(t)
	log.Info("function says", "function", "a/f", "event", "e1", "text", "hello")
	log.Debug("deep", "n", 1)
	log.Warn("a function failed", "function", "a/g")
	for _, tt := range []struct {
		f    logbook.Filter
		want string
	}{
		{logbook.Filter{}, "INFO a/f: hello|WARN a function failed function=a/g"},
		{logbook.Filter{Level: slog.LevelDebug, Since: time.Now().Add(-time.Minute)}, "INFO a/f: hello|DEBUG deep n=1|WARN a function failed function=a/g"},
		{logbook.Filter{Function: "a/g"}, "WARN a function failed function=a/g"},
		{logbook.Filter{Since: time.Now().Add(time.Minute)}, ""},
	} {
		var got []string
		err := admin.ReadLogs(t.Context(), path, tt.f, false, func(e admin.LogEntry) error {
			got = append(got, e.String())
			return nil
		})
		if err != nil || strings.Join(got, "|") != tt.want {
			t.Errorf("%+v: %q, %v, want %q", tt.f, got, err, tt.want)
		}
	}
}

// A reader that follows gets what was and what comes, until it goes.
func TestFollowLogs(t *testing.T) {
	log, path := serveBook(t)
	log.Info("before")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lines, ended := make(chan string, 100), make(chan error, 1)
	go func() {
		ended <- admin.ReadLogs(ctx, path, logbook.Filter{}, true, func(e admin.LogEntry) error {
			lines <- e.Text
			return nil
		})
	}()
	testbed.Eventually(t, 10*time.Second, "the first line", func() error {
		if len(lines) == 0 {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	log.Info("after")
	if a, b := <-lines, <-lines; a != "before" || b != "after" {
		t.Errorf("%q, then %q", a, b)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	err := admin.ReadLogs(t.Context(), path, logbook.Filter{}, true, func(admin.LogEntry) error { return io.ErrShortWrite })
	if !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("an error of the reader ends as %v", err)
	}
}

func TestLogsErrors(t *testing.T) {
	err := admin.ReadLogs(t.Context(), filepath.Join(t.TempDir(), "none"), logbook.Filter{}, false, nil)
	if err == nil || !strings.Contains(err.Error(), "start one with skerry run") {
		t.Errorf("nobody answers: %v", err)
	}
}
