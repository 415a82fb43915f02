package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/skerry-edge/skerry/internal/logbook"
)

// Logs is the log of the agent and its functions.
type Logs interface {
	// Read gives what is kept of it and, if follow, what comes; see logbook.
	Read(f logbook.Filter, follow bool) *logbook.Reader
}

// LogEntry is a line, or says that lines are missing: they came faster than they
// were read.
type LogEntry struct {
	*logbook.Line
	Missing int `json:"missing,omitempty"`
}

// WithLogs is h, and GET /v1/logs?function=NAME&level=LEVEL&since=TIME&follow=true,
// which answers with a LogEntry of JSON a line.
func WithLogs(h http.Handler, logs Logs) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("GET /v1/logs", func(w http.ResponseWriter, r *http.Request) {
		f, err := logFilter(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		follow := r.FormValue("follow") == "true"
		reader := logs.Read(f, follow)
		defer reader.Close()
		w.Header().Set("Content-Type", "application/x-ndjson")
		writeLogs(r.Context(), w, reader, follow)
	})
	return mux
}

func logFilter(r *http.Request) (f logbook.Filter, err error) {
	f.Function = r.FormValue("function")
	if text := r.FormValue("level"); text != "" {
		if f.Level.UnmarshalText([]byte(text)) != nil {
			err = fmt.Errorf("level is debug, info, warn or error, not %.20q", text)
		}
	}
	if text := r.FormValue("since"); text != "" && err == nil {
		f.Since, err = time.Parse(time.RFC3339Nano, text)
	}
	return f, err
}

// writeLogs ends when the client goes, and unless it follows when it has all.
func writeLogs(ctx context.Context, w http.ResponseWriter, reader *logbook.Reader, follow bool) {
	out, enc := http.NewResponseController(w), json.NewEncoder(w)
	for {
		lines, missing, err := reader.Next(ctx)
		if err != nil || out.SetWriteDeadline(time.Now().Add(time.Minute)) != nil {
			return
		}
		for i := range lines {
			if enc.Encode(LogEntry{Line: &lines[i]}) != nil {
				return
			}
		}
		if missing > 0 && enc.Encode(LogEntry{Missing: missing}) != nil {
			return
		}
		if out.Flush() != nil || !follow {
			return
		}
	}
}

// ReadLogs asks the agent behind the socket at path for its log and calls each
// with what comes, until ctx ends, the agent does or, unless it is to follow, all
// has come. An error of each ends it too.
func ReadLogs(ctx context.Context, path string, f logbook.Filter, follow bool, each func(LogEntry) error) (err error) {
	query := url.Values{"level": {f.Level.String()}, "function": {f.Function}}
	if !f.Since.IsZero() {
		query.Set("since", f.Since.Format(time.RFC3339Nano))
	}
	if follow {
		query.Set("follow", "true")
	}
	body, err := stream(ctx, path, "/v1/logs?"+query.Encode())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	dec := json.NewDecoder(body)
	for {
		var e LogEntry
		switch err := dec.Decode(&e); {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, io.EOF) && !follow:
			return nil
		case err != nil:
			if EndsToo(ctx) {
				return nil
			}
			return fmt.Errorf("the agent has ended, or the connection to it: %w", err)
		}
		if err := each(e); err != nil {
			return err
		}
	}
}
