package store_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

func oneEvent(lazy bool) agent.Frame {
	return agent.Frame{
		Add:    []agent.Record{{Queue: "q", Kind: agent.KindFollowup, Event: agent.Event{ID: "gw7/1/42", Data: []byte(strings.Repeat("x", 120))}}},
		Writes: []agent.Write{write("count", "123456")},
		Lazy:   lazy,
	}
}

func BenchmarkCommitSync(b *testing.B) {
	for _, producers := range []int{1, 32} {
		b.Run(fmt.Sprint(producers), func(b *testing.B) {
			s := open(b, b.TempDir(), store.Options{Quota: 8 << 30})
			b.ReportAllocs()
			b.ResetTimer()
			var (
				left atomic.Int64
				wg   sync.WaitGroup
			)
			left.Store(int64(b.N))
			for range producers {
				wg.Go(func() {
					for f := oneEvent(false); left.Add(-1) >= 0; {
						if err := s.Commit(b.Context(), &f); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/float64(max(s.Status().Syncs, 1)), "commits/sync")
		})
	}
}

func BenchmarkCommitLazy(b *testing.B) {
	s := open(b, b.TempDir(), store.Options{Quota: 8 << 30})
	f := oneEvent(true)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Commit(b.Context(), &f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s := open(b, b.TempDir(), store.Options{})
	f := oneEvent(false)
	commit(b, s, f)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Get("state/a/f", "count"); err != nil {
			b.Fatal(err)
		}
	}
}
