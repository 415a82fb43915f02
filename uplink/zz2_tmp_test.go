package uplink_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func BenchmarkSendOnly(b *testing.B) {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer far.Close()
	target := openKind(b, "http", far.URL, 0)
	b.ReportAllocs()
	for b.Loop() {
		if err := target.Send(b.Context(), sample()); err != nil {
			b.Error(err)
		}
	}
}

func BenchmarkBareOnly(b *testing.B) {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer far.Close()
	b.ReportAllocs()
	for b.Loop() {
		bareLoop(b, far.URL, 1)
	}
}
