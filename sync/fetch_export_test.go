package fleetsync

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
)

// ApplyPatch and Inflate make a module of a patch.
var (
	ApplyPatch = applyPatch
	Inflate    = inflate
)

// FromNothing is what a patch is made from that is only compressed.
const FromNothing = agent.Digest(fromNothing)

// ErrSuperseded ends a download when there is something newer.
var ErrSuperseded = errSuperseded

// Bring fetches the modules of functions, as a round does that has read its
// documents, and keeps what ran.
func (p *Puller) Bring(ctx context.Context, functions []agent.Function, patches map[agent.Digest][]AppPatch) error {
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.give()
	app := &App{Functions: map[string]AppFunction{}}
	for _, fn := range functions {
		app.Functions[fn.Name] = AppFunction{Module: AppModule{Digest: string(fn.Digest), Size: fn.Size, Patches: patches[fn.Digest]}}
	}
	p.load()
	next := &pinned{Format: pinFormat, Fleet: "plant", Revision: 7, Manifest: "sha256:that-of-7"}
	if err := p.modules(ctx, []candidate{{app: app}}, functions, next); err != nil {
		return err
	}
	next.Previous = p.now.before(next.Blobs, 2)
	p.now = next
	if err := next.write(p.cache); err != nil {
		return err
	}
	return p.sweep(next.wanted())
}

// opener is a carrier of one blob.
type opener func(ctx context.Context, offset int64) (io.ReadCloser, error)

func (opener) manifest(context.Context, string) (manifest, error) { return manifest{}, errUnchanged }

func (o opener) open(ctx context.Context, _ ocispec.Descriptor, offset int64) (io.ReadCloser, error) {
	return o(ctx, offset)
}

// FetchInto downloads what open gives into the cache.
func FetchInto(ctx context.Context, open func(ctx context.Context, offset int64) (io.ReadCloser, error), fn agent.Function, cache Cache) error {
	d := ocispec.Descriptor{Digest: digest.Digest(fn.Digest), Size: fn.Size}
	return fetchInto(ctx, opener(open), "module of "+fn.Name, d, cache)
}
