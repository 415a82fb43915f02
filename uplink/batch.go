package uplink

import (
	"context"

	"github.com/skerry-edge/skerry/agent"
)

// maxBatch is how many records one request takes.
const maxBatch = 1024

// batchTarget sends several records in one request.
type batchTarget struct {
	*httpTarget
	size int
}

func newBatch(t *httpTarget, c *TargetConfig) (Target, error) {
	switch {
	case c.Batch < 1 || c.Batch > maxBatch:
		return nil, mistake("batch", "is from 1 to %d records, not %d", maxBatch, c.Batch)
	case !t.path.fixed():
		return nil, mistake("batch", "needs one path for all records; remove it, or the names from path")
	case t.trace:
		return nil, mistake("batch", "has no one trace; remove it or trace")
	}
	return &batchTarget{t, c.Batch}, nil
}

// BatchSize is how many records go at once.
func (t *batchTarget) BatchSize() int { return t.size }

// Send implements Target.
func (t *batchTarget) Send(ctx context.Context, rec agent.Record) error {
	return t.SendBatch(ctx, []agent.Record{rec})[0]
}

// SendBatch implements Batcher. What was refused as a whole is sent in halves,
// until it is known which record is to blame. After a failure the rest is left
// for the next time: it would overtake what failed.
func (t *batchTarget) SendBatch(ctx context.Context, recs []agent.Record) []error {
	errs := make([]error, len(recs))
	var (
		waiting []*message
		places  []int
		size    int64
		lost    error
	)
	flush := func() {
		if lost == nil {
			lost = t.sendAll(ctx, waiting, places, errs)
		} else {
			for _, i := range places {
				errs[i] = lost
			}
		}
		waiting, places, size = nil, nil, 0
	}
	for i := range recs {
		m, err := t.message(&recs[i])
		if err != nil {
			errs[i] = err
			continue
		}
		n := int64(len(m.body)) + 1 // about; sendAll looks again
		if limit := t.payload.limit; limit > 0 && size+n > limit || len(waiting) == t.size {
			flush()
		}
		waiting, places, size = append(waiting, m), append(places, i), size+n
	}
	flush()
	return errs
}

// sendAll sends messages in one request and writes down what became of them.
// The error is why the rest must wait, nil if it need not.
func (t *batchTarget) sendAll(ctx context.Context, all []*message, places []int, errs []error) error {
	if len(all) == 0 {
		return nil
	}
	m, err := t.preset.join(all)
	if err == nil {
		err = t.payload.check(len(m.body))
	}
	if err == nil {
		err = t.post(ctx, m)
	}
	if ClassOf(err) == Permanent && len(all) > 1 && !refusesSender(asError(err).Status) {
		half := len(all) / 2
		if lost := t.sendAll(ctx, all[:half], places[:half], errs); lost != nil {
			for _, i := range places[half:] {
				errs[i] = lost
			}
			return lost
		}
		return t.sendAll(ctx, all[half:], places[half:], errs)
	}
	for _, i := range places {
		errs[i] = err
	}
	if c := ClassOf(err); c == Retry || c == Hold {
		return err
	}
	return nil
}
