package uplink_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// TestFetchGoesOverItsLink: requests of functions are counted like all else, and
// one that does not fit fails with a sentence that names the budget.
func TestFetchGoesOverItsLink(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("a", 3000))
	}))
	defer srv.Close()
	limit := func(f string) int64 { return map[string]int64{"app/small": 8000}[f] }
	m := newMeter(t, newClock("2026-11-21 08:00").opts(uplink.LinkOptions{Day: 50_000, Limit: limit}))
	f, err := uplink.NewFetcher(uplink.FetchOptions{Link: m})
	if err != nil {
		t.Fatal(err)
	}
	get := func(function string) error {
		resp, err := f.Fetch(t.Context(), &agent.HTTPRequest{
			Function: function, Method: "GET", URL: srv.URL, Grants: grants(t, srv.URL, loopback), IdempotencyKey: "k",
		})
		if err == nil && len(resp.Body) != 3000 {
			t.Errorf("%d bytes came", len(resp.Body))
		}
		return err
	}
	for _, tt := range []struct {
		function, want string
		least, most    int
	}{
		{"app/small", "of the 7.8 KiB that app/small may send a day over link lte (limits.uplink) are used", 1, 3},
		{"app/large", "of the day's 48.8 KiB of link lte are used", 5, 15},
	} {
		n := 0
		for err = get(tt.function); err == nil && n < 100; err = get(tt.function) {
			n++
		}
		if !errors.Is(err, agent.ErrLimit) || !strings.Contains(err.Error(), tt.want) || n < tt.least || n > tt.most {
			t.Errorf("%s: after %d requests: %v", tt.function, n, err)
		}
	}
	if s := m.Status(); s.Day.Used > 54_000 || s.Day.Used < 40_000 || len(s.Functions) != 2 || s.Flying != 0 {
		t.Errorf("the link says %+v", s)
	}
}

// TestFetchWaitsForItsTurn: a rate makes requests slower, unless their time
// would be over.
func TestFetchWaitsForItsTurn(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer srv.Close()
	m := newMeter(t, uplink.LinkOptions{Name: "lte", Rate: 20_000})
	f, err := uplink.NewFetcher(uplink.FetchOptions{Link: m})
	if err != nil {
		t.Fatal(err)
	}
	post := func(within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		_, err := f.Fetch(ctx, &agent.HTTPRequest{
			Method: "POST", URL: srv.URL, Body: make([]byte, 25_000), Grants: grants(t, srv.URL, loopback), IdempotencyKey: "k",
		})
		return err
	}
	if err := post(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := post(100 * time.Millisecond); !errors.Is(err, agent.ErrLimit) || !strings.Contains(err.Error(), "link lte carries 19.5 KiB a second") {
		t.Errorf("a request that has no time to wait: %v", err)
	}
	began := time.Now()
	if err := post(10 * time.Second); err != nil || time.Since(began) < 100*time.Millisecond {
		t.Errorf("a request that has was sent after %s: %v", time.Since(began), err)
	}
}
