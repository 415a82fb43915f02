package uplink_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

const benchRecords = 10_000

// BenchmarkDrain empties a queue of 10,000 small records into a receiver on
// this machine, beside a bare net/http loop of the same width that sends the
// same requests. ratio is the outbox's records per second over the loop's;
// cpu-ratio is the loop's processor time for a record over the outbox's, both
// with that of the receiver, and moves less when the machine is busy.
func BenchmarkDrain(b *testing.B) {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // a cut request is the client's failure
		w.WriteHeader(http.StatusAccepted)
	}))
	defer far.Close()
	for _, width := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("inflight=%d", width), func(b *testing.B) {
			var ours, bare cost
			for b.Loop() {
				ours.by(func() { drain(b, openKind(b, "http", far.URL, 0), width) })
				bare.by(func() { bareLoop(b, far.URL, width) })
			}
			total := float64(b.N * benchRecords)
			b.ReportMetric(total/ours.time.Seconds(), "records/s")
			b.ReportMetric(total/bare.time.Seconds(), "bare/s")
			b.ReportMetric(bare.time.Seconds()/ours.time.Seconds(), "ratio")
			b.ReportMetric(bare.cpu.Seconds()/ours.cpu.Seconds(), "cpu-ratio")
		})
	}
}

// cost is what something took.
type cost struct{ time, cpu time.Duration }

func (u *cost) by(f func()) {
	start, cpu := time.Now(), processTime()
	f()
	u.time += time.Since(start)
	u.cpu += processTime() - cpu
}

// processTime is what this process has used of the processors, 0 if that cannot
// be told.
func processTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchQueue() *store {
	recs := make([]agent.Record, benchRecords)
	for i := range recs {
		recs[i] = sample()
		recs[i].Seq, recs[i].Key = uint64(i+1), fmt.Sprint(i%128)
	}
	return newStore(recs...)
}

// benchStore removes records in one step, as a journal does.
type benchStore struct {
	*store
	left atomic.Int64
	done chan struct{}
}

func (s *benchStore) Page(_ int, after uint64, limit, _ int) ([]agent.Record, error) {
	return s.recs[after:min(int(after)+limit, benchRecords)], nil
}

func (s *benchStore) Has(uint64) bool { return true }

func (s *benchStore) Wait(ctx context.Context, _ []int, after uint64) (uint64, error) {
	if after == 0 {
		return benchRecords, nil
	}
	<-ctx.Done()
	return 0, ctx.Err()
}

func (s *benchStore) Commit(_ context.Context, f *agent.Frame) error {
	if s.left.Add(-int64(len(f.Done))) == 0 {
		close(s.done)
	}
	return nil
}

func drain(b *testing.B, to uplink.Target, width int) {
	s := &benchStore{store: benchQueue(), done: make(chan struct{})}
	s.left.Store(benchRecords)
	o := uplink.NewOutbox(s, s, to, uplink.Options{InFlight: width, Log: quiet})
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { o.Run(ctx) })
	<-s.done
	cancel()
	wg.Wait()
}

func bareLoop(b *testing.B, url string, width int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: width}}
	defer client.CloseIdleConnections()
	ev := sample().Event
	var next atomic.Int64
	var wg sync.WaitGroup
	for range width {
		wg.Go(func() {
			for next.Add(1) <= benchRecords {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(ev.Data))
				if err != nil {
					b.Error(err)
					return
				}
				req.Header = http.Header{"Content-Type": {ev.ContentType}, "Idempotency-Key": {ev.ID}, "User-Agent": {"skerry"}}
				resp, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body) // only to reuse the connection
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
}
