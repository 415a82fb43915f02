package uplink

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// lambda invokes a function asynchronously.
type lambda struct {
	*sender
	url    *url.URL
	signer signer
	now    func() time.Time
	skew   atomic.Int64 // AWS's clock minus ours, ns
}

// NewLambda returns a target that invokes an AWS Lambda function with
// InvocationType Event.
func NewLambda(opts LambdaOptions) (Target, error) {
	region, err := opts.region()
	if err != nil {
		return nil, err
	}
	t := &lambda{now: time.Now}
	if opts.Now != nil {
		t.now = opts.Now
	}
	if t.signer, err = opts.signer(region); err != nil {
		return nil, err
	}
	if t.url, err = opts.url(region); err != nil {
		return nil, err
	}
	t.sender, err = newSender(tlsFiles{ca: opts.CAFile}, opts.Timeout)
	return t, err
}

func (t *lambda) Send(ctx context.Context, rec agent.Record) error {
	payload, err := lambdaPayload(&rec.Event)
	if err != nil {
		return &Error{Class: Permanent, Reason: "the event cannot be written as JSON: " + err.Error(), Err: err}
	}
	a, err := t.invoke(ctx, payload)
	if err == nil && a.status == http.StatusForbidden && t.resync(a) {
		a, err = t.invoke(ctx, payload)
	}
	if err != nil {
		return err
	}
	return a.verdict(a.lambdaClass())
}

func (t *lambda) invoke(ctx context.Context, payload []byte) (*answer, error) {
	h := http.Header{
		"Content-Type":          {"application/json"},
		"X-Amz-Invocation-Type": {"Event"},
		"User-Agent":            {"skerry"},
	}
	t.signer.sign(http.MethodPost, t.url, h, payload, t.now().Add(time.Duration(t.skew.Load())))
	return t.do(ctx, http.MethodPost, t.url.String(), h, payload)
}

// maxSkew is well within the 5 minutes by which AWS lets a signature be off.
const maxSkew = 2 * time.Minute

// resync takes over the far side's clock when it is far from the one that was
// signed with, and tells whether signing again can help. A gateway without a
// battery-backed clock starts in the past.
func (t *lambda) resync(a *answer) bool {
	theirs, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return false
	}
	ours := t.now()
	off := theirs.Sub(ours.Add(time.Duration(t.skew.Load()))).Abs()
	if off <= maxSkew {
		return false
	}
	t.skew.Store(int64(theirs.Sub(ours)))
	return true
}

// lambdaEvent is what the function gets. AWS may run it twice for one Invoke;
// the id tells.
type lambdaEvent struct {
	ID         string          `json:"id"`
	Source     string          `json:"source"`
	Type       string          `json:"type"`
	Subject    string          `json:"subject,omitempty"`
	Time       string          `json:"time,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
	DataBase64 []byte          `json:"data_base64,omitempty"`
}

func lambdaPayload(ev *agent.Event) ([]byte, error) {
	p := lambdaEvent{ID: ev.ID, Source: ev.Source, Type: ev.Type, Subject: ev.Subject}
	if !ev.Time.IsZero() {
		p.Time = ev.Time.UTC().Format(time.RFC3339Nano)
	}
	if json.Valid(ev.Data) {
		p.Data = ev.Data
	} else {
		p.DataBase64 = ev.Data
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(p)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
