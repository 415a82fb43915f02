package uplink_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// A gateway whose clock is years off takes the far side's clock, signs again
// and delivers. Services of the JSON 1.0 protocol refuse with 400.
func TestAWSClockIsTakenOver(t *testing.T) {
	for _, kind := range awsKinds {
		cloud := time.Now().UTC().Truncate(time.Second)
		tries := 0
		far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tries++
			w.Header().Set("Date", cloud.Format(http.TimeFormat))
			signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
			if err == nil && signed.Sub(cloud).Abs() <= 5*time.Minute {
				return
			}
			if kind == "stepfunctions" {
				w.WriteHeader(http.StatusBadRequest)
				io.WriteString(w, `{"__type":"com.amazon.coral.service#InvalidSignatureException"}`)
				return
			}
			w.WriteHeader(http.StatusForbidden)
		}))
		c := kindConfig(kind, far.URL)
		c.Now = func() time.Time { return time.Unix(86400, 0) }
		target := open(t, c)
		for i, want := range []int{2, 3} { // the second record needs no second try
			if err := target.Send(t.Context(), sampleOf(kind)); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			if tries != want {
				t.Errorf("%s, record %d: %d requests so far, want %d", kind, i, tries, want)
			}
		}
		far.Close()
	}
}

// Requests that were under way together when the clock turned out to be wrong
// are all signed again: none is given up because another one set the clock.
func TestAWSClockIsTakenOverByAll(t *testing.T) {
	var wrong sync.WaitGroup
	wrong.Add(3)
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err == nil && time.Since(signed).Abs() <= 5*time.Minute {
			return
		}
		wrong.Done()
		wrong.Wait()
		w.WriteHeader(http.StatusForbidden)
	}))
	defer far.Close()
	c := kindConfig("lambda", far.URL)
	c.Refused, c.Now = "dead", func() time.Time { return time.Unix(86400, 0) }
	target := open(t, c)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := target.Send(t.Context(), sample()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
