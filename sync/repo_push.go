package fleetsync

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sync/trust"
)

// ErrMoved reports that somebody else published meanwhile; nothing was changed.
var ErrMoved = errors.New("somebody else published meanwhile; nothing was changed, run it again")

// Progress is told how much of a step is done, in bytes; nil for nobody. It may be
// called from several goroutines, and done may fall after an attempt that failed.
type Progress func(step string, done, total int64)

// Steps of a publish.
const (
	stepPatches = "making patches"
	stepSending = "sending"
)

// PublishResult is what a publish did.
type PublishResult struct {
	Ref         string            `json:"ref"`
	Digest      agent.Digest      `json:"digest"` // of the fleet's manifest
	Fleet       string            `json:"fleet"`
	Publication int64             `json:"publication"` // version of the signed timestamp
	Revision    int64             `json:"revision"`    // of the fleet document; 0 if there is none
	App         string            `json:"app,omitempty"`
	Version     string            `json:"version,omitempty"`
	Modules     []PublishedModule `json:"modules,omitempty"`
	Bytes       int64             `json:"bytes"`      // sent
	Unchanged   bool              `json:"unchanged"`  // all of it was there before
	Unassigned  bool              `json:"unassigned"` // no assignment names this version yet
	Warnings    []string          `json:"warnings,omitempty"`
}

// PublishedModule is one module of the published app.
type PublishedModule struct {
	Function string       `json:"function"`
	Digest   agent.Digest `json:"digest"`
	Size     int64        `json:"size"` // bytes
	Tag      string       `json:"tag,omitempty"`
	Patches  []AppPatch   `json:"patches,omitempty"`
}

// Push publishes the plan: it makes the patches, signs, sends what is missing and
// moves the tag last. ErrMoved if somebody else published since OpenFleet. After
// an error nothing of it is published; what was sent is not sent again. After a
// success r holds what is published now.
func (r *FleetRepo) Push(ctx context.Context, p *Plan, progress Progress) (PublishResult, error) {
	if p.from != r.live.digest {
		return PublishResult{}, ErrMoved
	}
	s := &pushing{FleetRepo: r, plan: p, progress: progress}
	if err := s.run(ctx); err != nil {
		return PublishResult{}, fmt.Errorf("publish to %s: %w", r.ref, err)
	}
	return s.done(), nil
}

// pushing is one Push.
type pushing struct {
	*FleetRepo
	plan     *Plan
	progress Progress
	patches  []patchFile
	next     *trust.Repository
	result   PublishResult
}

func (s *pushing) run(ctx context.Context) error {
	if err := s.makePatches(ctx); err != nil {
		return err
	}
	if err := s.sign(ctx); err != nil {
		return err
	}
	var blobs []blob
	for i := range s.plan.modules {
		blobs = append(blobs, s.plan.modules[i].blobs()...)
	}
	for i := range s.patches {
		blobs = append(blobs, s.patches[i].layer)
	}
	if s.next.Version() == s.signed.Version() { // the modules may be gone from the registry all the same
		s.result.Unchanged = true
		blobs, err := s.missing(ctx, blobs)
		if err != nil || len(blobs) == 0 {
			return err
		}
		s.result.Unchanged = false
		return s.send(ctx, blobs, 0)
	}
	return s.publish(ctx, blobs)
}

// publish sends all blobs and moves the tag.
func (s *pushing) publish(ctx context.Context, blobs []blob) error {
	desc, data, files, err := manifestOfFiles(s.next.Files(), s.plan.fleet)
	if err != nil {
		return err
	}
	if blobs, err = s.missing(ctx, append(files, blobs...)); err != nil {
		return err
	}
	if err := s.send(ctx, blobs, desc.Size); err != nil {
		return err
	}
	unlock, err := s.keys.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.keep(ctx); err != nil {
		return err
	}
	if err := s.moveTag(ctx, desc, data); err != nil {
		return err
	}
	s.result.Bytes += desc.Size
	live, err := readArtefact(s.to, manifest{digest: agent.Digest(desc.Digest), data: data})
	if err == nil {
		err = s.adopt(live, data, s.next)
	}
	if err == nil {
		err = s.keys.remember(s.next.State())
	}
	if err != nil && !readOnly(err) { // it is published all the same
		s.plan.warnings = append(s.plan.warnings, err.Error())
	}
	return nil
}

// moveTag publishes, and looks whether somebody else did so at the same moment:
// registries move a tag whatever it points at. Who looked before this move makes his
// own within about the time that this one took; so the second look waits for longer.
func (s *pushing) moveTag(ctx context.Context, desc ocispec.Descriptor, data []byte) error {
	began := time.Now()
	if err := s.to.tagManifest(ctx, desc, data, s.ref.tag, s.live.digest); err != nil {
		return err
	}
	select {
	case <-time.After(4 * time.Since(began)):
	case <-ctx.Done(): // it is published
	}
	if now, err := s.to.resolve(ctx, s.ref.tag); err == nil && now != agent.Digest(desc.Digest) {
		return fmt.Errorf("%w (at the same moment: theirs is what is published)", ErrMoved)
	}
	return nil
}

// keep leaves what is published now under a tag of its own, for History, unless
// somebody else published meanwhile.
func (s *pushing) keep(ctx context.Context) error {
	now, err := s.to.resolve(ctx, s.ref.tag)
	if err = cmp.Or(ctx.Err(), err); err != nil {
		return err
	}
	if now != s.live.digest {
		return ErrMoved
	}
	tag := publicationTag(s.ref.tag, s.signed.Version())
	was, err := s.to.resolve(ctx, tag)
	if err != nil || was == now {
		return err
	}
	return s.to.tagManifest(ctx, manifestDescriptor(s.raw), s.raw, tag, was)
}

// done is what happened.
func (s *pushing) done() PublishResult {
	out := s.result
	out.Ref, out.Digest, out.Fleet, out.Publication = s.ref.String(), s.live.digest, s.Name(), s.signed.Version()
	out.Revision, out.Unassigned, out.Warnings = s.Fleet().Metadata.Revision, s.plan.unassigned, s.plan.Warnings()
	if app := s.plan.app; app != nil {
		out.App, out.Version = app.Metadata.Name, app.Metadata.Version
		for _, m := range s.plan.modules {
			out.Modules = append(out.Modules, PublishedModule{
				Function: m.function, Digest: agent.Digest(m.layer.Digest), Size: m.layer.Size, Tag: m.tag,
				Patches: slices.Clone(app.Functions[m.function].Module.Patches),
			})
		}
	}
	return out
}

// patchedApp writes the document of the plan's app with its patches.
func (p *Plan) patchedApp() error {
	data, err := json.Marshal(p.app)
	if err == nil {
		p.docs[appFile(p.app.version())] = data
	}
	return err
}
