package uplink

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

const (
	maxFetched = 1 << 20 // bytes of an answer's body, on the wire and inflated
	maxDiscard = 2 << 10 // bytes of a redirect that are read, to keep its connection
)

var errTooLarge = fmt.Errorf("its body is larger than %d bytes; ask for less: %w", maxFetched, agent.ErrLimit)

// readFetched reads an answer within its limits. Header lines are sorted by name.
func readFetched(resp *http.Response, inflate bool) (*agent.HTTPResponse, error) {
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols:
		return nil, errors.New("the far side speaks another protocol than HTTP")
	case resp.ContentLength > maxFetched && resp.Request.Method != http.MethodHead:
		return nil, errTooLarge
	}
	// Both ends of inflating are bounded: a little can become a lot, and a lot
	// can become nothing.
	body := io.Reader(http.MaxBytesReader(nil, resp.Body, maxFetched))
	if inflate && strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		resp.Header.Del("Content-Encoding")
		resp.Header.Del("Content-Length")
		body = http.MaxBytesReader(nil, io.NopCloser(&gunzip{from: body}), maxFetched)
	}
	a := &agent.HTTPResponse{Status: resp.StatusCode}
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		for _, value := range resp.Header[name] {
			a.Header = append(a.Header, agent.HTTPField{Name: name, Value: value})
		}
	}
	var err error
	a.Body, err = io.ReadAll(body)
	return a, err
}

// gunzip inflates from the first Read on. A body of no bytes at all, as that of
// a 204, stays one.
type gunzip struct {
	from io.Reader
	gz   *gzip.Reader
}

func (g *gunzip) Read(p []byte) (n int, err error) {
	if g.gz == nil {
		g.gz, err = gzip.NewReader(g.from)
	}
	if err == nil {
		n, err = g.gz.Read(p)
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("inflate its body: %w", err)
	}
	return n, err
}

// discard reads a short rest, so that the connection can be used again.
func discard(body io.ReadCloser) {
	io.CopyN(io.Discard, body, maxDiscard) // if it fails, the connection is not used again
	body.Close()
}

// fetchError names what went wrong without the URL, and wraps the errors of a
// Fetcher.
func fetchError(err error) error {
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, agent.ErrDenied):
		var refused *addressError
		if errors.As(err, &refused) {
			return refused
		}
		return err
	case errors.As(err, &large):
		return errTooLarge
	case strings.Contains(err.Error(), "response headers exceeded"): // net/http has no name for it
		return fmt.Errorf("the answer has a header of more than %d bytes: %w", maxFetchHeader, agent.ErrLimit)
	case errors.Is(err, agent.ErrLimit):
		return err
	}
	return transportError(err)
}
