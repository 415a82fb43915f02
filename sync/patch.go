package fleetsync

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// A patch is a zstd frame that becomes a module. It has an older module as its raw
// dictionary, so that what both have costs next to nothing, or nothing: then it is
// the module, compressed.
const (
	fromNothing     = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // of no bytes
	patchFormat     = "zstd"
	patchDictionary = 0         // id of the raw dictionary, as zstd --patch-from has it
	maxPlainWindow  = 8 << 20   // bytes of memory to decompress a module without dictionary
	maxPatchWindow  = 256 << 20 // that a frame may state; with a dictionary, no memory follows from it
)

// errPatch reports a patch that does not give the module it was made for.
var errPatch = errors.New("the patch does not give the module")

// applyPatch makes the module of size bytes from the old one it was made against. It
// takes size bytes of memory, whatever the patch says of itself.
func applyPatch(patch, old []byte, size int64) ([]byte, error) {
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxPatchWindow), zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderDictRaw(patchDictionary, old))
	if err != nil {
		return nil, fmt.Errorf("prepare to patch: %w", err)
	}
	defer dec.Close()
	module, err := dec.DecodeAll(patch, make([]byte, 0, size))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPatch, err)
	}
	if int64(len(module)) != size {
		return nil, fmt.Errorf("%w: it gives %d bytes of %d", errPatch, len(module), size)
	}
	return module, nil
}

// inflate writes the module of size bytes that was compressed to w, from one byte on.
func inflate(compressed io.Reader, size, from int64, w io.Writer) error {
	dec, err := zstd.NewReader(compressed,
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxPlainWindow))
	if err != nil {
		return fmt.Errorf("prepare to decompress: %w", err)
	}
	defer dec.Close()
	if _, err := io.CopyN(io.Discard, dec, from); err != nil {
		return fmt.Errorf("%w: %w", errPatch, err)
	}
	sink := &sinkWriter{w: w}
	n, err := io.Copy(sink, io.LimitReader(dec, size-from+1))
	switch {
	case sink.err != nil:
		return sink.err
	case err != nil:
		return fmt.Errorf("%w: %w", errPatch, err)
	case from+n != size:
		return fmt.Errorf("%w: it gives %d bytes of %d", errPatch, from+n, size)
	}
	return nil
}
