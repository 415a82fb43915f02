package fleetsync

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sync/trust"
)

// Media types of the fleet artefact and of modules (the CNCF layout for wasm).
const (
	typeFleetArtefact = "application/vnd.skerry.fleet.v2"
	typeSignatures    = "application/vnd.skerry.signatures.v1+json"
	typePatch         = "application/vnd.skerry.patch.v1"
	typePatchLayer    = "application/vnd.skerry.patch.v1+zstd"
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

// revokedDocument stands in the place of an app version's document once that is
// revoked. No App is so short: its signed size tells it.
const revokedDocument = `{"revoked":true}` + "\n"

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
	if d.Size < 1 {
		return fmt.Errorf("a document has 1 byte or more, not %d", d.Size)
	}
	if d.Size > limit {
		return fmt.Errorf("%w (%d bytes, where %d are allowed)", trust.ErrTooLarge, d.Size, limit)
	}
	return nil
}

// File gives one of the files, as trust.Files does: its digest is checked, what
// is in it is not.
func (a *artefact) File(ctx context.Context, file string, limit int64) ([]byte, error) {
	d, ok := a.layers[file]
	if !ok {
		return nil, fmt.Errorf("%.200s: %w", file, trust.ErrAbsent)
	}
	if d.Size > limit {
		return nil, fmt.Errorf("%.200s has %d bytes, where %d are allowed: %w", file, d.Size, limit, trust.ErrTooLarge)
	}
	return a.document(ctx, file)
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

// parsePublishedFleet reads a Fleet as devices get it: with a revision.
func parsePublishedFleet(data []byte) (*Fleet, error) {
	fleet, err := ParseFleet(fleetFile, data)
	if err == nil && fleet.Metadata.Revision < 1 {
		err = &DocumentError{File: fleetFile, Path: "metadata.revision", Reason: "a published fleet has a revision from 1: publish it with skerry publish"}
	}
	return fleet, err
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
