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
	"golang.org/x/sync/errgroup"

	"github.com/skerry-edge/skerry/agent"
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

// download writes a blob to w, going on where a connection broke off. It
// checks size and digest; whoever reads w must use nothing before it is nil.
func download(ctx context.Context, from carrier, what string, d ocispec.Descriptor, w io.Writer) error {
	sum := sha256.New()
	var offset int64
	stuck := 0
	for try := 0; offset < d.Size; try++ {
		n, err := attempt(ctx, from, d, offset, io.MultiWriter(sum, w))
		if offset += n; n > 0 {
			stuck = 0
		}
		if offset == d.Size {
			break
		}
		var perm permanentError
		if ctx.Err() != nil || errors.As(err, &perm) || stuck == stuckTries || try == blobTries {
			return fmt.Errorf("fetch %s, %d of %d bytes: %w", what, offset, d.Size, err)
		}
		if stuck++; n == 0 {
			wait(ctx, firstRetry<<stuck)
		}
	}
	return checkSum(what, d, sum)
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

// fetchInto downloads a blob into the cache. The cache reads through a pipe
// that ends without error only after the digest was found right.
func fetchInto(ctx context.Context, from carrier, what string, d ocispec.Descriptor, cache Cache) error {
	r, w := io.Pipe()
	g, ctx := errgroup.WithContext(ctx)
	var fetched error
	g.Go(func() error {
		fetched = download(ctx, from, what, d, w)
		w.CloseWithError(fetched)
		return nil
	})
	g.Go(func() error {
		err := cache.PutBlob(ctx, agent.Digest(d.Digest), d.Size, r)
		r.CloseWithError(errors.Join(errCacheDone, err)) // lets the download end if the cache did
		return err
	})
	err := g.Wait()
	if fetched != nil && !errors.Is(fetched, errCacheDone) {
		return fetched // the cause; the cache only passes it on
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w", what, err)
	}
	return nil
}

var errCacheDone = errors.New("the cache reads no more")

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
		return nil, fmt.Errorf("it is larger than %d bytes", limit)
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
	return b.ReadCloser.Read(p)
}

func (b *idleBody) Close() error {
	b.timer.Stop()
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}
