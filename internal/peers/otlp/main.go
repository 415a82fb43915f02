// Command otlp takes OTLP over HTTP in with OpenTelemetry's own messages and
// notes each request as their JSON. It answers as a collector does; at /partial it
// says that it threw a record away, and the status N at /status/N.
package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	logs "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	metrics "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	traces "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/skerry-edge/skerry/internal/peers/book"
)

// signal is what comes at one path.
type signal struct {
	request, answer, partial func() proto.Message
}

var signals = map[string]signal{
	"logs": {
		request: func() proto.Message { return &logs.ExportLogsServiceRequest{} },
		answer:  func() proto.Message { return &logs.ExportLogsServiceResponse{} },
		partial: func() proto.Message {
			return &logs.ExportLogsServiceResponse{PartialSuccess: &logs.ExportLogsPartialSuccess{RejectedLogRecords: 3, ErrorMessage: "too old"}}
		},
	},
	"metrics": {
		request: func() proto.Message { return &metrics.ExportMetricsServiceRequest{} },
		answer:  func() proto.Message { return &metrics.ExportMetricsServiceResponse{} },
		partial: func() proto.Message {
			return &metrics.ExportMetricsServiceResponse{PartialSuccess: &metrics.ExportMetricsPartialSuccess{ErrorMessage: "a warning"}}
		},
	},
	"traces": {
		request: func() proto.Message { return &traces.ExportTraceServiceRequest{} },
		answer:  func() proto.Message { return &traces.ExportTraceServiceResponse{} },
		partial: func() proto.Message {
			return &traces.ExportTraceServiceResponse{PartialSuccess: &traces.ExportTracePartialSuccess{RejectedSpans: 1}}
		},
	},
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		book.Die(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/{signal}", func(w http.ResponseWriter, r *http.Request) { take(w, r, http.StatusOK, false) })
	mux.HandleFunc("POST /partial/v1/{signal}", func(w http.ResponseWriter, r *http.Request) { take(w, r, http.StatusOK, true) })
	mux.HandleFunc("POST /status/{code}/v1/{signal}", func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.PathValue("code"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		take(w, r, code, false)
	})
	book.Listening(l.Addr())
	book.Die(http.Serve(l, mux))
}

func take(w http.ResponseWriter, r *http.Request, code int, partial bool) {
	s, known := signals[r.PathValue("signal")]
	if !known {
		http.NotFound(w, r)
		return
	}
	text, err := read(r, s.request())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	book.Write(book.Got{Path: r.URL.Path, Method: r.Method, Header: map[string]string{
		"Authorization": r.Header.Get("Authorization"), "X-Site": r.Header.Get("X-Site"),
	}, ContentType: r.Header.Get("Content-Type"), Data: text})
	m := s.answer()
	if partial {
		m = s.partial()
	}
	answer, err := proto.Marshal(m)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.WriteHeader(code)
	if _, err := w.Write(answer); err != nil {
		return // the client went away
	}
}

// read decodes the request and refuses what the protocol does not know.
func read(r *http.Request, m proto.Message) ([]byte, error) {
	if kind := r.Header.Get("Content-Type"); kind != "application/x-protobuf" {
		return nil, fmt.Errorf("content type %q", kind)
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		body = z
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	if err := (proto.UnmarshalOptions{DiscardUnknown: false}).Unmarshal(raw, m); err != nil {
		return nil, err
	}
	text, err := protojson.Marshal(m)
	return text, err
}
