package uplink_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// rays is an X-Ray that refuses some segments.
type rays struct {
	t        *testing.T
	batches  []int             // documents of each request
	refuse   map[string]string // code by id; an empty id is for one that is not named
	poisoned string            // with this segment a request is refused as a whole
}

func (x *rays) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct{ TraceSegmentDocuments []string }
	body, err := io.ReadAll(r.Body)
	if err = errors.Join(err, json.Unmarshal(body, &in)); err != nil || r.URL.Path != "/TraceSegments" {
		x.t.Errorf("%s %s: %v", r.URL.Path, body, err)
	}
	x.batches = append(x.batches, len(in.TraceSegmentDocuments))
	if x.poisoned != "" && strings.Contains(string(body), x.poisoned) {
		w.Header().Set("X-Amzn-ErrorType", "InvalidRequestException")
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	type refusal struct{ Id, ErrorCode, Message string }
	out := []refusal{}
	for _, doc := range in.TraceSegmentDocuments {
		var s struct{ ID string }
		if err := json.Unmarshal([]byte(doc), &s); err != nil {
			x.t.Error(err)
		}
		if code, ok := x.refuse[s.ID]; ok {
			out = append(out, refusal{strings.TrimPrefix(s.ID, "nameless"), code, "said so"})
		}
	}
	if err := json.NewEncoder(w).Encode(map[string]any{"UnprocessedTraceSegments": out}); err != nil {
		x.t.Error(err)
	}
}

func segments(ids ...string) []agent.Record {
	var recs []agent.Record
	for _, id := range ids {
		rec := sample()
		rec.Event.Data = []byte(`{"id":"` + id + `"}`)
		recs = append(recs, rec)
	}
	return recs
}

func classes(errs []error) string {
	var all []string
	for _, err := range errs {
		all = append(all, uplink.ClassOf(err).String())
	}
	return strings.Join(all, " ")
}

// One segment that X-Ray does not take costs no other.
func TestXRayTellsSegmentsApart(t *testing.T) {
	for _, tt := range []struct {
		name    string
		x       rays
		recs    []agent.Record
		want    string
		batches []int
	}{
		{"all", rays{}, segments("a", "b"), "DELIVERED DELIVERED", []int{2}},
		{"one", rays{refuse: map[string]string{"b": "InvalidSegment"}}, segments("a", "b", "c"), "DELIVERED PERMANENT DELIVERED", []int{3}},
		{"busy", rays{refuse: map[string]string{"b": "ThrottlingException"}}, segments("a", "b"), "DELIVERED RETRY", []int{2}},
		{"twice", rays{refuse: map[string]string{"a": "InvalidSegment"}}, segments("a", "a"), "PERMANENT PERMANENT", []int{2}},
		{"no name", rays{refuse: map[string]string{"nameless": "ParseError"}}, segments("a", "nameless"), "DELIVERED PERMANENT", []int{2, 1, 1}},
		{"poison", rays{poisoned: "b"}, segments("a", "b", "c"), "DELIVERED PERMANENT DELIVERED", []int{3, 1, 1, 1}},
		{"not ours", rays{}, append(segments("a"), sample()), "DELIVERED PERMANENT", []int{1}},
		{"too large", rays{}, append(segments("a"), segments(strings.Repeat("x", 70000))...), "DELIVERED PERMANENT", []int{1}},
		{"none", rays{}, nil, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.x.t = t
			far := httptest.NewServer(&tt.x)
			defer far.Close()
			errs := openKind(t, "xray", far.URL, 0).(uplink.Batcher).SendBatch(t.Context(), tt.recs)
			if got := classes(errs); got != tt.want || !slices.Equal(tt.x.batches, tt.batches) {
				t.Errorf("%s in %v, want %s in %v: %v", got, tt.x.batches, tt.want, tt.batches, errs)
			}
		})
	}
}

// A request takes 50 segments; what fails as a whole is said of each.
func TestXRayBatches(t *testing.T) {
	x := &rays{t: t}
	far := httptest.NewServer(x)
	defer far.Close()
	var ids []string
	for i := range 120 {
		ids = append(ids, fmt.Sprint(i))
	}
	target := openKind(t, "xray", far.URL, 0).(uplink.Batcher)
	if err := errors.Join(target.SendBatch(t.Context(), segments(ids...))...); err != nil || !slices.Equal(x.batches, []int{50, 50, 20}) {
		t.Errorf("%v, %v", x.batches, err)
	}
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>log in") }))
	defer portal.Close()
	target = openKind(t, "xray", portal.URL, 0).(uplink.Batcher)
	if got := classes(target.SendBatch(t.Context(), segments("a", "b"))); got != "RETRY RETRY" {
		t.Errorf("a page that is not X-Ray's: %s", got)
	}
}

// What X-Ray, or what pretends to be it, repeats of a request shows no credential.
func TestXRayHidesCredentials(t *testing.T) {
	for _, answer := range []string{
		"<html>%s", `{"UnprocessedTraceSegments":[{"Id":"a","ErrorCode":"InvalidSegment","Message":"%s"}]}`,
	} {
		far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, answer, r.Header.Get("X-Amz-Security-Token"))
		}))
		c := kindConfig("xray", far.URL)
		c.SessionToken = "canary-session"
		err := open(t, c).Send(t.Context(), segments("a")[0])
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", answer, err)
		}
		far.Close()
	}
}
