package fleetsync

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sync/trust"
)

const (
	stuckTries = 4    // in a row that brought nothing
	blobTries  = 1000 // in all
)

// permanentError will not pass by trying again.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

func permanent(err error) error { return permanentError{err} }

func damaged(what string, want, got agent.Digest) error {
	return fmt.Errorf("%s is refused: it must be %s, what came is %s: %w", what, want, got, ErrDamaged)
}

// download writes a small blob to w. It checks size and digest; whoever reads w
// must use nothing before it is nil.
func download(ctx context.Context, from carrier, what string, d ocispec.Descriptor, w io.Writer) error {
	sum := sha256.New()
	if err := transfer(ctx, from, what, d, 0, io.MultiWriter(sum, w)); err != nil {
		return err
	}
	return checkSum(what, d, sum)
}

// transfer writes the bytes of a blob from offset on to w, going on where a
// connection broke off. It checks nothing of them.
func transfer(ctx context.Context, from carrier, what string, d ocispec.Descriptor, offset int64, w io.Writer) error {
	stuck := 0
	for try := 0; offset < d.Size; try++ {
		n, err := attempt(ctx, from, d, offset, w)
		if offset += n; n > 0 {
			stuck = 0
		}
		if offset == d.Size {
			break
		}
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		var perm permanentError
		if ctx.Err() != nil || errors.As(err, &perm) || stuck == stuckTries || try == blobTries {
			return fmt.Errorf("fetch %s, %d of %d bytes: %w", what, offset, d.Size, err)
		}
		if stuck++; n == 0 {
			wait(ctx, firstRetry<<stuck)
		}
	}
	return nil
}

func checkSum(what string, d ocispec.Descriptor, sum hash.Hash) error {
	got := agent.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil)))
	if want := agent.Digest(d.Digest); got != want {
		return damaged(what, want, got)
	}
	return nil
}

// attempt copies from offset on until the blob or the connection ends.
func attempt(ctx context.Context, from carrier, d ocispec.Descriptor, offset int64, w io.Writer) (int64, error) {
	body, err := from.open(ctx, d, offset)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	sink := &sinkWriter{w: w}
	n, err := io.Copy(sink, io.LimitReader(body, d.Size-offset))
	switch {
	case sink.err != nil:
		return n, permanent(sink.err)
	case err == nil && offset+n < d.Size:
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// sinkWriter remembers that writing failed: no other connection would help.
type sinkWriter struct {
	w   io.Writer
	err error
}

func (s *sinkWriter) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}

// fetchBytes downloads a small blob.
func fetchBytes(ctx context.Context, from carrier, what string, d ocispec.Descriptor) ([]byte, error) {
	var buf bytes.Buffer
	if err := download(ctx, from, what, d, &buf); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// A blob may take as long as a slow line needs for it. What came is kept, and the
// next round goes on with it.
const (
	leastWithin = 5 * time.Minute
	slowestLine = 1 << 10 // bytes a second
)

// fetchInto downloads a blob into the cache, going on where an earlier round, or an
// earlier run of the agent, ended.
func fetchInto(ctx context.Context, from carrier, what string, d ocispec.Descriptor, cache Cache) error {
	within := leastWithin + time.Duration(d.Size/slowestLine)*time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("it took longer than %s", within))
	defer cancel()
	var fetched error
	sink := &sinkWriter{}
	err := cache.PutBlob(ctx, agent.Digest(d.Digest), d.Size, func(offset int64, w io.Writer) error {
		sink.w = w
		fetched = transfer(ctx, from, what, d, offset, sink)
		return fetched
	})
	switch {
	case err == nil:
		return nil
	case fetched != nil && sink.err == nil:
		return fetched // the cause; the cache only passes it on
	case errors.Is(err, agent.ErrInvalid):
		return fmt.Errorf("%s is refused, it is %w: %w", what, ErrDamaged, err)
	}
	return fmt.Errorf("keep %s: %w", what, err)
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// readBounded reads all of r, refusing more than limit bytes.
func readBounded(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("%w (more than %d bytes)", trust.ErrTooLarge, limit)
	}
	return data, err
}

// idleBody cancels its request when nothing came for too long.
type idleBody struct {
	io.ReadCloser
	timer  *time.Timer
	idle   time.Duration
	cancel context.CancelCauseFunc
}

func newIdleBody(body io.ReadCloser, idle time.Duration, cancel context.CancelCauseFunc) *idleBody {
	timer := time.AfterFunc(idle, func() { cancel(fmt.Errorf("nothing came for %s", idle)) })
	return &idleBody{ReadCloser: body, timer: timer, idle: idle, cancel: cancel}
}

func (b *idleBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.idle)
	defer b.timer.Stop() // how long the reader takes, for a slow disk, is not the line's fault
	return b.ReadCloser.Read(p)
}

func (b *idleBody) Close() error {
	b.timer.Stop()
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}
