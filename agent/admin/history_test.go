package admin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
)

// columns is what a client reads.
type columns struct {
	Every     int64   `json:"every_s"`
	Unix      []int64 `json:"unix"`
	Events    []int64 `json:"events"`
	Failures  []int64 `json:"failures"`
	P99us     []int64 `json:"p99_us"`
	Waiting   []int64 `json:"waiting"`
	BytesUp   []int64 `json:"bytes_up"`
	Functions map[string]struct {
		Runs   []int `json:"runs"`
		Memory []int `json:"memory_kib"`
	} `json:"functions"`
}

func askHistory(t *testing.T, h *admin.History) (c columns, size int) {
	t.Helper()
	w := httptest.NewRecorder()
	admin.WithHistory(http.NotFoundHandler(), h).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/history", nil))
	size = w.Body.Len()
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return c, size
}

// Each sample is what happened since the one before, and an hour of them is kept.
func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s agent.Status
		var lat agent.Latency
		var mu sync.Mutex // of both
		h := admin.NewHistory(
			func() agent.Status { mu.Lock(); defer mu.Unlock(); return s },
			func() agent.Latency { mu.Lock(); defer mu.Unlock(); return lat })
		if c, _ := askHistory(t, h); c.Every != 10 || c.Unix == nil || len(c.Unix) != 0 {
			t.Errorf("before it runs: %+v", c)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Run(ctx) }()
		synctest.Wait()
		for i := range 700 {
			mu.Lock()
			s.Events.Events += int64(10 + i%2)
			s.Events.Failures++
			lat[5]++ // 5 us
			s.Store.Records = i
			s.Targets = []agent.TargetStatus{{BytesUp: int64(100 * i)}}
			s.Functions = []agent.FunctionStatus{{Name: "a/f", Invocations: int64(2 * i), MemoryBytes: 1 << 20}}
			mu.Unlock()
			<-time.After(10 * time.Second)
			synctest.Wait()
		}
		c, size := askHistory(t, h)
		if n := len(c.Unix); n != 360 || c.Unix[n-1]-c.Unix[0] != 3590 {
			t.Fatalf("%d samples over %d s", n, c.Unix[n-1]-c.Unix[0])
		}
		if c.Events[0] != 10 || c.Events[1] != 11 || c.Failures[7] != 1 || c.P99us[7] != 5 || c.Waiting[359] != 699 || c.BytesUp[359] != 100 {
			t.Errorf("samples are %v %v %v", c.Events[:2], c.P99us[:9], c.BytesUp[350:])
		}
		f := c.Functions["a/f"]
		if len(f.Runs) != 60 || f.Runs[59] != 12 || f.Memory[59] != 1024 {
			t.Errorf("a function's minutes: %v", f)
		}
		if size > 64<<10 {
			t.Errorf("the answer has %d bytes", size)
		}
		mu.Lock()
		s.Functions = nil // the app went
		mu.Unlock()
		<-time.After(time.Minute)
		synctest.Wait()
		if c, _ := askHistory(t, h); len(c.Functions) != 0 {
			t.Errorf("functions are still %v", c.Functions)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
