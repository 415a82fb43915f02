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

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

const benchRecords = 10_000

// BenchmarkDrain empties a queue of 10,000 small records into a receiver on
// this machine, beside a bare net/http loop of the same width; ratio is the
// outbox's records per second over the loop's.
func BenchmarkDrain(b *testing.B) {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // a cut request is the client's failure
		w.WriteHeader(http.StatusAccepted)
	}))
	defer far.Close()
	for _, width := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("inflight=%d", width), func(b *testing.B) {
			var ours, bare time.Duration
			rounds := 0
			for b.Loop() {
				ours += drain(b, far.URL, width)
				bare += bareLoop(b, far.URL, width)
				rounds++
			}
			total := float64(rounds * benchRecords)
			b.ReportMetric(total/ours.Seconds(), "records/s")
			b.ReportMetric(total/bare.Seconds(), "bare/s")
			b.ReportMetric(bare.Seconds()/ours.Seconds(), "ratio")
		})
	}
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

func drain(b *testing.B, url string, width int) time.Duration {
	return drainTo(b, openKind(b, "http", url, 0), width)
}

func drainTo(b *testing.B, to uplink.Target, width int) time.Duration {
	s := &benchStore{store: benchQueue(), done: make(chan struct{})}
	s.left.Store(benchRecords)
	o := uplink.NewOutbox(s, s, to, uplink.Options{InFlight: width, Log: quiet})
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	start := time.Now()
	wg.Go(func() { o.Run(ctx) })
	<-s.done
	took := time.Since(start)
	cancel()
	wg.Wait()
	return took
}

func bareLoop(b *testing.B, url string, width int) time.Duration {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: width}}
	defer client.CloseIdleConnections()
	data := sample().Event.Data
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range width {
		wg.Go(func() {
			for next.Add(1) <= benchRecords {
				resp, err := client.Post(url, "application/json", bytes.NewReader(data))
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
	return time.Since(start)
}
