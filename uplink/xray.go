package uplink

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

// xray sends trace segments; the data of each record is one document.
type xray struct{ *httpTarget }

var xrayRow = kind{"refused timeout ca_file endpoint" + awsOptions, newXRay}

const (
	maxDocuments = 50       // of one request
	maxDocument  = 64 << 10 // bytes
)

func newXRay(c TargetConfig) (Target, error) {
	sign, err := newAWSAuth(&c, "xray", "")
	if err != nil {
		return nil, err
	}
	p := &preset{auth: sign}
	if p.url, err = sign.endpoint(&c, "/TraceSegments"); err != nil {
		return nil, err
	}
	p.class, p.retry = sign.rules(&c, (*answer).awsClass)
	t, err := newHTTPTarget(&c, p)
	if err != nil {
		return nil, err
	}
	return &xray{t.(*httpTarget)}, nil
}

// Send implements Target.
func (t *xray) Send(ctx context.Context, rec agent.Record) error {
	return t.SendBatch(ctx, []agent.Record{rec})[0]
}

// BatchSize is how many records go at once.
func (t *xray) BatchSize() int { return maxDocuments }

// SendBatch implements Batcher. A document that X-Ray does not take costs no
// other.
func (t *xray) SendBatch(ctx context.Context, recs []agent.Record) []error {
	errs := make([]error, len(recs))
	var docs []document
	for i := range recs {
		doc, err := newDocument(i, recs[i].Event.Data)
		if errs[i] = err; err == nil {
			docs = append(docs, doc)
		}
	}
	for some := range slices.Chunk(docs, maxDocuments) {
		t.put(ctx, some, errs)
	}
	return errs
}

// document is a segment, and the record that it is the data of.
type document struct {
	of   int
	id   string
	text string
}

func newDocument(of int, data []byte) (document, error) {
	var segment struct {
		ID string `json:"id"`
	}
	switch err := json.Unmarshal(data, &segment); {
	case err != nil || segment.ID == "":
		return document{}, refuse("the record is no X-Ray segment: it must be a JSON object with an id")
	case len(data) > maxDocument:
		return document{}, refuse("the segment has %d bytes, X-Ray takes at most %d", len(data), maxDocument)
	}
	return document{of, segment.ID, string(data)}, nil
}

// put sends one request and sets the outcome of each document. When X-Ray
// refuses all for what may be the fault of one, each goes on its own: sending a
// segment twice changes nothing.
func (t *xray) put(ctx context.Context, docs []document, errs []error) {
	texts := make([]string, len(docs))
	for i, d := range docs {
		texts[i] = d.text
	}
	m := &message{header: t.header.Clone()}
	err := m.writeJSON(map[string][]string{"TraceSegmentDocuments": texts})
	var a *answer
	if err == nil {
		a, err = t.exchange(ctx, m)
	}
	if err == nil {
		err = t.verdict(a)
	}
	switch {
	case err == nil:
	case len(docs) > 1 && ClassOf(err) == Permanent && !a.refusesGateway():
		t.putEach(ctx, docs, errs)
		return
	default:
		setAll(docs, errs, err)
		return
	}
	refused, ok := a.unprocessed()
	switch {
	case !ok:
		setAll(docs, errs, &Error{Class: Retry, Status: a.status, Reason: "the answer is not X-Ray's: " + a.excerpt(string(a.body))})
	case len(docs) == 1 && len(refused) > 0: // an answer may name no id
		errs[docs[0].of] = refused[0].err(a)
	default:
		t.assign(ctx, docs, errs, a, refused)
	}
}

func (t *xray) putEach(ctx context.Context, docs []document, errs []error) {
	for i := range docs {
		errs[docs[i].of] = nil
		t.put(ctx, docs[i:i+1], errs)
	}
}

func setAll(docs []document, errs []error, err error) {
	for _, d := range docs {
		errs[d.of] = err
	}
}

// unprocessed is what X-Ray says of a segment that it did not take.
type unprocessed struct {
	ID        string `json:"Id"`
	ErrorCode string
	Message   string
}

// unprocessed is none if X-Ray took all; ok is false for an answer that is not
// X-Ray's, such as a captive portal's.
func (a *answer) unprocessed() (refused []unprocessed, ok bool) {
	var said struct {
		UnprocessedTraceSegments []unprocessed
	}
	if len(a.body) > 0 && json.Unmarshal(a.body, &said) != nil {
		return nil, false
	}
	return said.UnprocessedTraceSegments, true
}

// assign finds the documents that X-Ray did not take.
func (t *xray) assign(ctx context.Context, docs []document, errs []error, a *answer, refused []unprocessed) {
	for _, u := range refused {
		known := false
		for _, d := range docs {
			if d.id == u.ID {
				errs[d.of], known = u.err(a), true
			}
		}
		if !known { // it may be any of them
			t.putEach(ctx, docs, errs)
			return
		}
	}
}

// err is a RETRY for what is X-Ray's fault.
func (u unprocessed) err(a *answer) error {
	class := Permanent
	if throttleCodes[u.ErrorCode] || u.ErrorCode == "InternalFailure" || u.ErrorCode == "ServiceUnavailable" {
		class = Retry
	}
	return &Error{Class: class, Status: http.StatusOK, Reason: "X-Ray did not take the segment: " + a.excerpt(u.ErrorCode+" "+u.Message)}
}
