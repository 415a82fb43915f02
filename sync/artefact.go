package fleetsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
)

// Media types of the fleet artefact and of modules (the CNCF layout for wasm).
const (
	typeFleetArtefact = "application/vnd.skerry.fleet.v1"
	typeFleetDocument = "application/vnd.skerry.fleet.v1+json"
	typeAppDocument   = "application/vnd.skerry.app.v1+json"
	typeWasmConfig    = "application/vnd.wasm.config.v0+json"
	typeWasm          = "application/wasm"
	typeJavaScript    = "application/javascript"
)

const (
	fleetFile  = "fleet.json"
	maxInline  = 16 << 10 // bytes of a document that travels in the manifest
	maxInlined = 1 << 20  // of all of them
	maxLayers  = 5000
)

func appFile(v agent.AppVersion) string { return "apps/" + v.Name + "/" + v.Version + ".json" }

// artefact is the fleet's documents as one manifest lists them, by file name.
type artefact struct {
	from   carrier
	digest agent.Digest
	etag   string
	layers map[string]ocispec.Descriptor
}

func readArtefact(from carrier, m manifest) (*artefact, error) {
	var doc ocispec.Manifest
	if err := json.Unmarshal(m.data, &doc); err != nil {
		return nil, fmt.Errorf("manifest %s is not readable: %w", m.digest.Short(), err)
	}
	if doc.ArtifactType != typeFleetArtefact {
		return nil, fmt.Errorf("manifest %s is of type %.80q, not a fleet: check the registry reference", m.digest.Short(), doc.ArtifactType)
	}
	if len(doc.Layers) > maxLayers {
		return nil, fmt.Errorf("manifest %s lists %d documents, at most %d", m.digest.Short(), len(doc.Layers), maxLayers)
	}
	a := &artefact{from: from, digest: m.digest, etag: m.etag, layers: map[string]ocispec.Descriptor{}}
	for _, d := range doc.Layers {
		title := d.Annotations[ocispec.AnnotationTitle]
		if err := checkDescriptor(d, maxDocument); err != nil {
			return nil, fmt.Errorf("document %.200q in manifest %s: %w", title, m.digest.Short(), err)
		}
		if _, twice := a.layers[title]; twice {
			return nil, fmt.Errorf("document %.200q is twice in manifest %s", title, m.digest.Short())
		}
		a.layers[title] = d
	}
	return a, nil
}

// checkDescriptor refuses what cannot be checked later, or is too large.
func checkDescriptor(d ocispec.Descriptor, limit int64) error {
	if !digestForm.MatchString(d.Digest.String()) {
		return fmt.Errorf("%.80q is no sha256 digest", d.Digest)
	}
	if d.Size < 1 || d.Size > limit {
		return fmt.Errorf("%d bytes, where 1 to %d are allowed", d.Size, limit)
	}
	return nil
}

// document is a document's bytes, checked: those in the manifest, or a blob's.
func (a *artefact) document(ctx context.Context, file string) ([]byte, error) {
	d, ok := a.layers[file]
	if !ok {
		return nil, fmt.Errorf("document %s: %w", file, errAbsent)
	}
	if len(d.Data) == 0 {
		return fetchBytes(ctx, a.from, "document "+file, d)
	}
	if got := digest.FromBytes(d.Data); got != d.Digest || int64(len(d.Data)) != d.Size {
		return nil, damaged("document "+file, agent.Digest(d.Digest), agent.Digest(got))
	}
	return d.Data, nil
}

func (a *artefact) fleet(ctx context.Context) (*Fleet, []byte, error) {
	data, err := a.document(ctx, fleetFile)
	if err != nil {
		return nil, nil, err
	}
	fleet, err := ParseFleet(fleetFile, data)
	if err == nil && fleet.Metadata.Revision < 1 {
		err = &DocumentError{File: fleetFile, Path: "metadata.revision", Reason: "a published fleet has a revision from 1: publish it with skerry publish"}
	}
	return fleet, data, err
}

// app is the document of an app version, not read yet.
func (a *artefact) app(ctx context.Context, v agent.AppVersion) ([]byte, error) {
	data, err := a.document(ctx, appFile(v))
	if errors.Is(err, errAbsent) {
		return nil, fmt.Errorf("the fleet assigns %s@%s, which is not published: publish that version", v.Name, v.Version)
	}
	return data, err
}

// parsePublished reads an App as devices get it: modules by digest only.
func parsePublished(v agent.AppVersion, data []byte, checks Checks) (*App, error) {
	file := appFile(v)
	app, err := ParseApp(file, data, checks)
	if err != nil {
		return nil, err
	}
	if app.Metadata.Name != v.Name || app.Metadata.Version != v.Version {
		return nil, &DocumentError{File: file, Path: "metadata", Reason: fmt.Sprintf("it is about %s@%s: publish it again", app.Metadata.Name, app.Metadata.Version)}
	}
	for name, fn := range app.Functions {
		if fn.Module.Path != "" {
			return nil, &DocumentError{File: file, Path: join("functions", name) + ".module.path", Reason: "a path is for writing an app: publish it with skerry publish"}
		}
	}
	return app, nil
}

// describe is the descriptor of data as a document of the artefact.
func describe(mediaType, file string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{
		MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data)),
		Annotations: map[string]string{ocispec.AnnotationTitle: file},
	}
}

// manifestOf is an OCI manifest, with its descriptor.
func manifestOf(artifactType string, config ocispec.Descriptor, layers []ocispec.Descriptor) (ocispec.Descriptor, []byte, error) {
	data, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		ArtifactType: artifactType, Config: config, Layers: layers,
	})
	if err != nil {
		return ocispec.Descriptor{}, nil, fmt.Errorf("write manifest: %w", err)
	}
	if len(data) > maxManifest {
		return ocispec.Descriptor{}, nil, fmt.Errorf("the manifest would have %d bytes, at most %d: split the fleet into repositories", len(data), maxManifest)
	}
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifactType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	return d, data, nil
}
