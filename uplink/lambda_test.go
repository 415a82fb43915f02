package uplink_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/uplink"
)

// A real verifier of signatures takes what is signed right and refuses what
// is not; a refusal holds the target and costs no record. (Moto refuses ARNs
// even from AWS's own client; their encoding is held by TestSignatures.)
func TestLambdaAgainstMoto(t *testing.T) {
	m := testbed.StartMoto(t)
	for _, tt := range []struct {
		name, function, key, secret string
		want                        uplink.Class
		status                      int
	}{
		{"right", m.Function, m.AccessKeyID, m.SecretAccessKey, uplink.Delivered, 0},
		{"wrong secret", m.Function, m.AccessKeyID, "wrong", uplink.Hold, 403},
		{"unknown key", m.Function, "AKIAUNKNOWN000000000", m.SecretAccessKey, uplink.Hold, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target, err := uplink.Open(uplink.TargetConfig{
				Kind: "lambda", Function: tt.function, Region: m.Region, Endpoint: m.Endpoint,
				AccessKeyID: tt.key, SecretAccessKey: tt.secret,
			})
			if err != nil {
				t.Fatal(err)
			}
			err = target.Send(t.Context(), sample())
			if got := uplink.ClassOf(err); got != tt.want {
				t.Fatalf("class %v, want %v: %v", got, tt.want, err)
			}
			if tt.status != 0 && statusOf(err) != tt.status {
				t.Errorf("status %d, want %d: %v", statusOf(err), tt.status, err)
			}
		})
	}
}

// A gateway whose clock is years off takes the far side's clock, signs again
// and delivers.
func TestLambdaTakesOverClock(t *testing.T) {
	cloud := time.Now().UTC().Truncate(time.Second)
	tries := 0
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries++
		w.Header().Set("Date", cloud.Format(http.TimeFormat))
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil || signed.Sub(cloud).Abs() > 5*time.Minute {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer far.Close()
	target, err := uplink.NewLambda(uplink.LambdaOptions{
		Function: "plant", Region: "eu-central-1", Endpoint: far.URL, AccessKeyID: "AK", SecretAccessKey: "SK",
		Now: func() time.Time { return time.Unix(86400, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{2, 3} { // the second record needs no second try
		if err := target.Send(t.Context(), sample()); err != nil {
			t.Fatal(err)
		}
		if tries != want {
			t.Errorf("record %d: %d requests so far, want %d", i, tries, want)
		}
	}
}

func TestLambdaClasses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		header string // "Name: value"
		body   string
		want   uplink.Class
	}{
		{"accepted", 202, "", "", uplink.Delivered},
		{"function error", 200, "X-Amz-Function-Error: Unhandled", `{"errorMessage":"x"}`, uplink.FnError},
		{"no such function", 404, "X-Amzn-ErrorType: ResourceNotFoundException", `{}`, uplink.Hold},
		{"throttle as 400", 400, "X-Amzn-ErrorType: ThrottlingException:http://x", `{}`, uplink.Retry},
		{"throttle as JSON", 400, "", `{"__type":"com.amazon#ThrottledException"}`, uplink.Retry},
		{"throttle as XML", 400, "", `<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>`, uplink.Retry},
		{"bad request", 400, "X-Amzn-ErrorType: InvalidRequestContentException", `{}`, uplink.Permanent},
		{"too large", 413, "", "", uplink.Permanent},
		{"media type", 415, "", "", uplink.Permanent},
		{"denied", 403, "X-Amzn-ErrorType: AccessDeniedException", "", uplink.Hold},
		{"throttled", 429, "", "", uplink.Retry},
		{"not ready", 409, "", "", uplink.Retry},
		{"server", 500, "", "", uplink.Retry},
	} {
		far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if name, value, ok := strings.Cut(tt.header, ": "); ok {
				w.Header().Set(name, value)
			}
			w.WriteHeader(tt.status)
			io.WriteString(w, tt.body)
		}))
		err := openKind(t, "lambda", far.URL, 0).Send(t.Context(), sample())
		if got := uplink.ClassOf(err); got != tt.want {
			t.Errorf("%s: class %v, want %v (%v)", tt.name, got, tt.want, err)
		}
		far.Close()
	}
}

// The function finds the event's id, and its data as it was.
func TestLambdaPayload(t *testing.T) {
	var got []byte
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body) // a cut body fails the comparison
		w.WriteHeader(http.StatusAccepted)
	}))
	defer far.Close()
	target := openKind(t, "lambda", far.URL, 0)
	for _, tt := range []struct {
		data []byte
		key  string
		want any
	}{
		{[]byte(`{"t": "<21>"}`), "data", map[string]any{"t": "<21>"}},
		{[]byte("\x00\xff"), "data_base64", "AP8="},
		{[]byte("plain"), "data_base64", "cGxhaW4="},
		{nil, "data", nil},
	} {
		rec := sample()
		rec.Event.Data = tt.data
		if err := target.Send(context.Background(), rec); err != nil {
			t.Fatal(err)
		}
		var p map[string]any
		if err := json.Unmarshal(got, &p); err != nil {
			t.Fatalf("payload %s: %v", got, err)
		}
		a, _ := json.Marshal(p[tt.key])
		b, _ := json.Marshal(tt.want)
		if string(a) != string(b) || p["id"] != rec.Event.ID {
			t.Errorf("data %q: payload %s", tt.data, got)
		}
	}
}
