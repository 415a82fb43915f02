package admin_test

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/skerry-edge/skerry/agent/admin"
)

// What is being answered when the agent stops ends before what it works with does.
func TestUntilWaitsForWhatIsUnderWay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	began := make(chan struct{})
	var over atomic.Bool
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		over.Store(true)
	})}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- admin.Until(ctx, srv, l) }()
	go func() {
		if resp, err := http.Get("http://" + l.Addr().String()); err == nil {
			resp.Body.Close()
		}
	}()
	<-began
	stop()
	if err := <-ended; err != nil || !over.Load() {
		t.Errorf("ended with %v, and the answer had ended: %t", err, over.Load())
	}
}
