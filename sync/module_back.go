package fleetsync

import (
	"context"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
)

// fetchBack brings the modules again that the cache lost of what may be gone back to.
// No round fails if they are not there any more.
func (p *Puller) fetchBack(ctx context.Context) {
	lost := p.lostBack()
	if len(lost) == 0 {
		return
	}
	ctx, stop := p.watch(ctx, p.now)
	defer stop()
	for _, d := range lost {
		err := fetchInto(ctx, p.reg.store, "module "+agent.Digest(d.Digest).Short(), d, p.cache)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.opts.Log.Warn("a module of a version before one that runs cannot be fetched again: there may be no going back to it", "err", oneLine(err))
		}
	}
}

func (p *Puller) lostBack() (lost []ocispec.Descriptor) {
	for i := range p.now.Standings {
		for _, c := range p.now.Standings[i].earlier() {
			for _, name := range slices.Sorted(maps.Keys(c.app.Functions)) {
				if m := c.app.Functions[name].Module; !p.cache.HasBlob(agent.Digest(m.Digest)) {
					lost = append(lost, ocispec.Descriptor{MediaType: typeWasm, Digest: digest.Digest(m.Digest), Size: m.Size})
				}
			}
		}
	}
	return lost
}
