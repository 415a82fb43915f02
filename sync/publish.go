package fleetsync

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
)

// ErrMoved reports that somebody else published meanwhile; nothing was changed.
var ErrMoved = errors.New("somebody else published meanwhile; nothing was changed, run it again")

// PublishOptions say what to publish where. One of the files may be absent.
type PublishOptions struct {
	Ref       string // oci://host/repository[:tag] or oci-layout:/path[:tag]
	AppFile   string
	FleetFile string
	Checks    Checks
	PlainHTTP bool
	TLS       *tls.Config
	// Progress is told how many of the bytes to send have left; it may be nil.
	// It may be called from several goroutines, and done may fall after an
	// attempt that failed.
	Progress func(done, total int64)
}

// PublishResult is what a publish did.
type PublishResult struct {
	Ref        string            `json:"ref"`
	Digest     agent.Digest      `json:"digest"` // of the fleet's manifest
	Fleet      string            `json:"fleet"`
	Revision   int64             `json:"revision"`
	App        string            `json:"app,omitempty"`
	Version    string            `json:"version,omitempty"`
	Modules    []PublishedModule `json:"modules,omitempty"`
	Bytes      int64             `json:"bytes"`      // sent
	Unchanged  bool              `json:"unchanged"`  // all of it was there before
	Unassigned bool              `json:"unassigned"` // no assignment names this version yet
	Warnings   []string          `json:"warnings,omitempty"`
}

// PublishedModule is one module of the published app.
type PublishedModule struct {
	Function string       `json:"function"`
	Digest   agent.Digest `json:"digest"`
	Size     int64        `json:"size"` // bytes
	Tag      string       `json:"tag,omitempty"`
}

// publisher is a carrier that can be written to.
type publisher interface {
	carrier
	has(ctx context.Context, d ocispec.Descriptor) (bool, error)
	push(ctx context.Context, d ocispec.Descriptor, data []byte) error
	// resolve is what a tag points at, "" if there is no such tag.
	resolve(ctx context.Context, tag string) (agent.Digest, error)
	// tagManifest stores a manifest under a tag that points at was; ErrMoved
	// if it points elsewhere by now.
	tagManifest(ctx context.Context, d ocispec.Descriptor, data []byte, tag string, was agent.Digest) error
}

// Publish puts an app and a fleet document into the registry. The devices see
// all of it or nothing: the tag moves last. ErrMoved if somebody else
// published meanwhile.
func Publish(ctx context.Context, opts PublishOptions) (PublishResult, error) {
	if opts.AppFile == "" && opts.FleetFile == "" {
		return PublishResult{}, errors.New("nothing to publish: name an app.yaml or a fleet.yaml")
	}
	p, err := newPublishing(opts)
	if err != nil {
		return PublishResult{}, err
	}
	if err := p.read(ctx); err != nil {
		return PublishResult{}, err
	}
	if err := p.merge(); err != nil {
		return PublishResult{}, err
	}
	if err := p.send(ctx); err != nil {
		return PublishResult{}, fmt.Errorf("publish to %s: %w", p.ref, err)
	}
	return p.result, nil
}

// publishing is one publish, step by step.
type publishing struct {
	opts   PublishOptions
	ref    reference
	to     publisher
	meter  sendMeter
	result PublishResult

	app       *App   // as written, with modules filled in
	mine      []byte // its document
	modules   []moduleFile
	fleetFile *Fleet
	live      *artefact // nil before the first publish
	fleet     *Fleet    // the live one, then the one to be
	docs      documents
}

func newPublishing(opts PublishOptions) (*publishing, error) {
	ref, err := parseReference(opts.Ref)
	if err != nil {
		return nil, err
	}
	p := &publishing{opts: opts, ref: ref, docs: documents{}}
	p.meter.tell = opts.Progress
	p.result.Ref = ref.String()
	if ref.dir != "" {
		p.to = &layout{dir: ref.dir, tag: ref.tag, sent: p.meter.add}
		return p, nil
	}
	p.to, err = newRemote(ref, RegistryOptions{PlainHTTP: opts.PlainHTTP, TLS: opts.TLS, Retries: 6, Idle: 30 * time.Second}, p.meter.add)
	return p, err
}

// read collects the files to publish and what is published already.
func (p *publishing) read(ctx context.Context) error {
	if p.opts.AppFile != "" {
		if err := p.readApp(); err != nil {
			return err
		}
	}
	if p.opts.FleetFile != "" {
		data, err := os.ReadFile(p.opts.FleetFile)
		if err != nil {
			return fmt.Errorf("read fleet: %w", err)
		}
		if p.fleetFile, err = ParseFleet(p.opts.FleetFile, data); err != nil {
			return err
		}
	}
	return p.readLive(ctx)
}

func (p *publishing) readApp() error {
	data, err := os.ReadFile(p.opts.AppFile)
	if err != nil {
		return fmt.Errorf("read app: %w", err)
	}
	if p.app, err = ParseApp(p.opts.AppFile, data, p.opts.Checks); err != nil {
		return err
	}
	var warnings []string
	if p.modules, warnings, err = readModules(p.opts.AppFile, p.app, &p.opts.Checks); err != nil {
		return err
	}
	m := p.app.Metadata
	p.result.App, p.result.Version, p.result.Warnings = m.Name, m.Version, append(p.app.Warnings(), warnings...)
	if needs := p.app.needs(); needs != "" {
		p.result.Warnings = append(p.result.Warnings, "devices need: "+needs)
	}
	for i := range p.modules {
		mod := &p.modules[i]
		fn := p.app.Functions[mod.function]
		fn.Module = AppModule{Ref: p.ref.module(mod.tag), Digest: string(mod.layer.Digest), Size: mod.layer.Size}
		p.app.Functions[mod.function] = fn
		p.result.Modules = append(p.result.Modules, PublishedModule{
			Function: mod.function, Digest: agent.Digest(mod.layer.Digest), Size: mod.layer.Size, Tag: mod.tag,
		})
	}
	p.mine, err = json.Marshal(p.app)
	return err
}

// readLive reads what is published now: its fleet, and all documents.
func (p *publishing) readLive(ctx context.Context) error {
	m, err := p.to.manifest(ctx, "")
	if errors.Is(err, ErrNothingPublished) {
		return nil
	}
	if err != nil {
		return err
	}
	if p.live, err = readArtefact(p.to, m); err != nil {
		return err
	}
	if p.fleet, _, err = p.live.fleet(ctx); err != nil {
		return fmt.Errorf("read what is published: %w", err)
	}
	p.result.Digest = m.digest
	for file := range p.live.layers {
		if p.docs[file], err = p.live.document(ctx, file); err != nil {
			return fmt.Errorf("read what is published: %w", err)
		}
	}
	return nil
}

// send pushes what is missing, documents last, and then moves the tag.
func (p *publishing) send(ctx context.Context) error {
	p.result.Fleet, p.result.Revision = p.fleet.Metadata.Name, p.fleet.Metadata.Revision
	desc, data, blobs, err := p.docs.manifest()
	if err != nil {
		return err
	}
	for i := range p.modules {
		blobs = append(blobs, p.modules[i].blobs()...)
	}
	blobs, err = p.missing(ctx, blobs)
	if err != nil {
		return err
	}
	was := agent.Digest("")
	if p.live != nil {
		was = p.live.digest
	}
	if p.result.Unchanged = len(blobs) == 0 && was == agent.Digest(desc.Digest); p.result.Unchanged {
		return nil
	}
	p.meter.start(blobs, desc.Size)
	for _, b := range blobs {
		if err := p.to.push(ctx, b.desc, b.data); err != nil {
			return err
		}
		p.result.Bytes += b.desc.Size
	}
	for i := range p.modules {
		if err := p.tagModule(ctx, &p.modules[i]); err != nil {
			return err
		}
	}
	if err := p.to.tagManifest(ctx, desc, data, p.ref.tag, was); err != nil {
		return err
	}
	p.result.Bytes += desc.Size
	p.result.Digest = agent.Digest(desc.Digest)
	return nil
}

// missing leaves out what the registry has, and what is there twice.
func (p *publishing) missing(ctx context.Context, blobs []blob) ([]blob, error) {
	var out []blob
	seen := map[string]bool{}
	for _, b := range blobs {
		if seen[b.desc.Digest.String()] {
			continue
		}
		seen[b.desc.Digest.String()] = true
		there, err := p.to.has(ctx, b.desc)
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
