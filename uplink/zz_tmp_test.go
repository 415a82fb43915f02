package uplink_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(0, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func sendLoop(b *testing.B, target uplink.Target, width int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	rec := sample()
	for range width {
		wg.Go(func() {
			for next.Add(1) <= benchRecords {
				if err := target.Send(b.Context(), rec); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkTmp(b *testing.B) {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer far.Close()
	for _, width := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(width), func(b *testing.B) {
			var d, c [3]time.Duration
			m := func(i int, f func()) {
				t, u := time.Now(), cpu()
				f()
				d[i] += time.Since(t)
				c[i] += cpu() - u
			}
			target := openKind(b, "http", far.URL, 0)
			for b.Loop() {
				m(0, func() { bareLoop(b, far.URL, width) })
				m(1, func() { sendLoop(b, target, width) })
				m(2, func() { drain(b, far.URL, width) })
			}
			for i, n := range []string{"bare", "send", "box"} {
				b.ReportMetric(float64(c[i].Microseconds())/float64(b.N*benchRecords), n+"-cpu-us")
				b.ReportMetric(float64(d[0])/float64(d[i]), n+"-ratio")
			}
		})
	}
}

func BenchmarkNull(b *testing.B) {
	for _, width := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(width), func(b *testing.B) {
			var c time.Duration
			for b.Loop() {
				u := cpu()
				drainTo(b, sendFunc(func(agent.Record) error { return nil }), width)
				c += cpu() - u
			}
			b.ReportMetric(float64(c.Microseconds())/float64(b.N*benchRecords), "cpu-us")
		})
	}
}
