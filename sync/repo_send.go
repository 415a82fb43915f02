package fleetsync

import (
	"cmp"
	"context"
	"fmt"
)

// send pushes blobs, then the manifests of modules and patches, which keep them.
func (s *pushing) send(ctx context.Context, blobs []blob, manifest int64) error {
	s.meter.start(blobs, manifest, s.progress)
	for _, b := range blobs {
		if err := cmp.Or(ctx.Err(), s.to.push(ctx, b.desc, b.data)); err != nil {
			return err
		}
		s.result.Bytes += b.desc.Size
	}
	for i := range s.plan.modules {
		if err := s.tagModule(ctx, &s.plan.modules[i]); err != nil {
			return err
		}
	}
	for i := range s.patches {
		if err := s.tagPatch(ctx, &s.patches[i]); err != nil {
			return err
		}
	}
	return nil
}

// missing leaves out what the registry has, and what is there twice. What the live
// manifest lists is not asked for.
func (s *pushing) missing(ctx context.Context, blobs []blob) ([]blob, error) {
	var out []blob
	seen := map[string]bool{}
	for _, d := range s.live.layers {
		seen[d.Digest.String()] = true
	}
	for _, b := range blobs {
		if seen[b.desc.Digest.String()] {
			continue
		}
		seen[b.desc.Digest.String()] = true
		there, err := s.to.has(ctx, b.desc)
		switch {
		case err != nil:
			return nil, err
		case there:
		case b.data == nil:
			return nil, fmt.Errorf("module %s is neither a file nor in the registry: give its path, module: {path: …}", cmp.Or(b.desc.Digest.String(), "?"))
		default:
			out = append(out, b)
		}
	}
	return out, nil
}
