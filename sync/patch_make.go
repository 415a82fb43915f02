package fleetsync

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
)

const (
	patchBases = 3 // modules that a new one is patched against: the last that were released
	// A patch is worth its place when it is clearly smaller than the next best way.
	plainShare = 90 // percent of the module, for one compressed alone
	patchShare = 80 // percent of that, for one against an older module
)

// patchFile is a patch on its way, and the tag that keeps it.
type patchFile struct {
	layer   blob
	tag     string
	subject ocispec.Descriptor // manifest of the module it makes
}

// makePatches makes the patches of the plan's app, and writes them into its document.
func (s *pushing) makePatches(ctx context.Context) error {
	p := s.plan
	if p.app == nil {
		return nil
	}
	if _, there := p.base[appFile(p.app.version())]; there {
		return nil // published already, with its patches
	}
	for i := range p.modules {
		m := &p.modules[i]
		fn := p.app.Functions[m.function]
		var err error
		if fn.Module.Patches, err = s.patchModule(ctx, m); err != nil {
			return fmt.Errorf("make patches for function %s: %w", m.function, err)
		}
		p.app.Functions[m.function] = fn
	}
	return p.patchedApp()
}

// known are the patches of a module that is published already, by what they are from.
func (s *pushing) known(m *moduleFile) map[string]AppPatch {
	out := map[string]AppPatch{}
	for _, was := range s.released(s.plan.app.Metadata.Name) {
		for _, fn := range was.Functions {
			if fn.Module.Digest != m.layer.Digest.String() {
				continue
			}
			for _, p := range fn.Module.Patches {
				out[p.From] = p
			}
		}
	}
	return out
}

// released are the published versions of an app: those that devices run by the
// fleet first, then the newest.
func (s *pushing) released(name string) []*App {
	var assigned, spare []*App
	for _, v := range s.docs.apps() {
		if v.Name != name {
			continue
		}
		app, err := s.docs.app(v)
		if err != nil {
			continue // of another release: its modules are no base
		}
		if s.fleet != nil && s.fleet.assigns(v) {
			assigned = append(assigned, app)
		} else {
			spare = append(spare, app)
		}
	}
	return append(assigned, spare...)
}

// bases are the modules of the function that devices most likely have.
func (s *pushing) bases(m *moduleFile) []AppModule {
	var out []AppModule
	for _, was := range s.released(s.plan.app.Metadata.Name) {
		old, there := was.Functions[m.function]
		same := func(b AppModule) bool { return b.Digest == old.Module.Digest }
		if there && old.Module.Digest != m.layer.Digest.String() && !slices.ContainsFunc(out, same) {
			out = append(out, old.Module)
		}
	}
	return out[:min(len(out), patchBases)]
}

// patchModule lists the patches that are worth it, smallest first. Those that are
// published already are not made again.
func (s *pushing) patchModule(ctx context.Context, m *moduleFile) ([]AppPatch, error) {
	bases := append([]AppModule{{Digest: fromNothing}}, s.bases(m)...)
	known := s.known(m)
	step := func(done int) {
		if s.progress != nil {
			s.progress(stepPatches, int64(done)*m.layer.Size, int64(len(bases))*m.layer.Size)
		}
	}
	least := m.layer.Size * plainShare / 100
	var out []AppPatch
	for i, base := range bases {
		step(i)
		entry, there := known[base.Digest]
		var patch []byte
		if !there {
			var err error
			if patch, err = s.patchFrom(ctx, m, base); err != nil {
				return nil, err
			}
			entry = AppPatch{From: base.Digest, Digest: digest.FromBytes(patch).String(), Size: int64(len(patch)), Format: patchFormat}
		}
		if entry.Size >= least {
			continue
		}
		if base.Digest == fromNothing {
			least = entry.Size * patchShare / 100
		}
		if !there {
			if err := s.addPatch(m, entry, patch); err != nil {
				return nil, err
			}
		}
		out = append(out, entry)
	}
	step(len(bases))
	slices.SortStableFunc(out, func(a, b AppPatch) int { return cmp.Compare(a.Size, b.Size) })
	return out, nil
}

// patchFrom makes a patch from base.
func (s *pushing) patchFrom(ctx context.Context, m *moduleFile, base AppModule) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	module, err := s.moduleBytes(ctx, AppModule{Digest: m.layer.Digest.String(), Size: m.layer.Size})
	if err != nil {
		return nil, err
	}
	if m.data == nil { // its manifest, which the patch names, follows from its bytes
		if err := m.describe(module); err != nil {
			return nil, err
		}
	}
	if base.Digest == fromNothing {
		return makePatch(nil, module)
	}
	old, err := s.moduleBytes(ctx, base)
	if err != nil {
		return nil, err
	}
	return makePatch(old, module)
}

func (s *pushing) addPatch(m *moduleFile, entry AppPatch, patch []byte) error {
	file, err := newPatchFile(m, entry, patch)
	s.patches = append(s.patches, file)
	return err
}

// newPatchFile is the patch as an artefact of its own, whose subject is the
// module's manifest.
func newPatchFile(m *moduleFile, entry AppPatch, patch []byte) (patchFile, error) {
	word := "patch-" + short(entry.From)
	if entry.From == fromNothing {
		word = "compressed"
	}
	subject, _, err := m.manifest()
	return patchFile{
		layer:   blob{ocispec.Descriptor{MediaType: typePatchLayer, Digest: digest.Digest(entry.Digest), Size: entry.Size}, patch},
		tag:     tagOf(m.tag, word),
		subject: subject,
	}, err
}

func (s *pushing) tagPatch(ctx context.Context, p *patchFile) error {
	desc, data, err := p.manifest()
	if err != nil {
		return err
	}
	return tagBeside(ctx, s.to, desc, data, p.tag)
}

func (p *patchFile) manifest() (ocispec.Descriptor, []byte, error) {
	return manifestOf(typePatch, ocispec.DescriptorEmptyJSON, []ocispec.Descriptor{p.layer.desc}, &p.subject)
}

// moduleBytes is a module: one of the plan's files, or else the registry's.
func (s *pushing) moduleBytes(ctx context.Context, m AppModule) ([]byte, error) {
	for i := range s.plan.modules {
		if own := &s.plan.modules[i]; own.data != nil && own.layer.Digest.String() == m.Digest {
			return own.data, nil
		}
	}
	d := ocispec.Descriptor{MediaType: typeWasm, Digest: digest.Digest(m.Digest), Size: m.Size}
	return fetchBytes(ctx, s.to, "module "+agent.Digest(m.Digest).Short(), d)
}

// makePatch makes module of old, or of nothing, and tries whether it does.
func makePatch(old, module []byte) ([]byte, error) {
	window := windowFor(len(old) + len(module))
	options := []zstd.EOption{
		zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true),
	}
	if len(old) > 0 {
		options = append(options, zstd.WithEncoderDictRaw(patchDictionary, old))
	} else {
		window = min(window, maxPlainWindow)
	}
	enc, err := zstd.NewWriter(nil, append(options, zstd.WithWindowSize(window))...)
	if err != nil {
		return nil, fmt.Errorf("prepare to compress: %w", err)
	}
	patch := enc.EncodeAll(module, nil)
	if err := enc.Close(); err != nil {
		return nil, err
	}
	made, err := unpatch(patch, old, int64(len(module)))
	if err == nil && !bytes.Equal(made, module) {
		err = errPatch
	}
	return patch, err
}

// unpatch applies a patch as devices do.
func unpatch(patch, old []byte, size int64) ([]byte, error) {
	if len(old) > 0 {
		return applyPatch(patch, old, size)
	}
	var out bytes.Buffer
	err := inflate(bytes.NewReader(patch), size, 0, &out)
	return out.Bytes(), err
}

// windowFor is the least power of two that n bytes fit in.
func windowFor(n int) int { return 1 << max(bits.Len(uint(n-1)), 10) }
