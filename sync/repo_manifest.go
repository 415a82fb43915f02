package fleetsync

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
)

// manifestOfFiles is the artefact's manifest with the blobs it lists. Small files
// that devices need travel in the manifest as well, so that one request brings all.
func manifestOfFiles(files map[string][]byte, fleet *Fleet) (ocispec.Descriptor, []byte, []blob, error) {
	config := ocispec.DescriptorEmptyJSON
	blobs := []blob{{ocispec.Descriptor{MediaType: config.MediaType, Digest: config.Digest, Size: config.Size}, config.Data}}
	var layers []ocispec.Descriptor
	if len(files) > maxLayers {
		return ocispec.Descriptor{}, nil, nil, fmt.Errorf("the fleet would have %d documents, at most %d: split the fleet into repositories", len(files), maxLayers)
	}
	inlined := 0
	for _, f := range inOrder(files, fleet) {
		data := files[f.name]
		d := describe(mediaTypeOf(f.name), f.name, data)
		blobs = append(blobs, blob{d, data})
		if f.inline && len(data) <= maxInline && inlined+len(data) <= maxInlined {
			d.Data = data
			inlined += len(data)
		}
		layers = append(layers, d)
	}
	desc, data, err := manifestOf(typeFleetArtefact, config, layers, nil)
	return desc, data, blobs, err
}

// artefactFile is a file of the artefact, by how soon devices need it.
type artefactFile struct {
	name   string
	inline bool
	rank   int // lower ones are inlined first
}

// inOrder puts first what devices need, and last what few do: old roots, the first
// one, which devices are made with, and app versions that no assignment names.
func inOrder(files map[string][]byte, fleet *Fleet) []artefactFile {
	newest := 2
	for name := range files {
		newest = max(newest, rootVersion(name))
	}
	var out []artefactFile
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := artefactFile{name: name, inline: true}
		app, version, ok := splitAppFile(name)
		if root := rootVersion(name); root > 0 {
			f.inline = root == newest
		}
		if ok {
			f.rank, f.inline = 1, fleet != nil && fleet.assigns(agent.AppVersion{Name: app, Version: version})
		}
		if !f.inline {
			f.rank = 2
		}
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b artefactFile) int { return cmp.Compare(a.rank, b.rank) })
	return out
}

// rootVersion is 3 for "3.root.json", 0 for other files.
func rootVersion(name string) int {
	number, ok := strings.CutSuffix(name, ".root.json")
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0
	}
	return n
}

func mediaTypeOf(name string) string {
	if _, _, ok := splitAppFile(name); ok {
		return typeAppDocument
	}
	if name == fleetFile {
		return typeFleetDocument
	}
	return typeSignatures
}

// manifestDescriptor describes a manifest by its bytes.
func manifestDescriptor(data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

// publicationTag keeps what was published once, for people; devices never look
// at it.
func publicationTag(tag string, publication int64) string {
	suffix := "-p" + strconv.FormatInt(publication, 10)
	return tag[:min(len(tag), maxTag-len(suffix))] + suffix
}

// describe is the descriptor of data as a document of the artefact.
func describe(mediaType, file string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{
		MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data)),
		Annotations: map[string]string{ocispec.AnnotationTitle: file},
	}
}

// manifestOf is an OCI manifest, with its descriptor. Subject is the manifest it
// is about, nil if it stands alone.
func manifestOf(artifactType string, config ocispec.Descriptor, layers []ocispec.Descriptor, subject *ocispec.Descriptor) (ocispec.Descriptor, []byte, error) {
	config.Data = nil
	data, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		ArtifactType: artifactType, Config: config, Layers: layers, Subject: subject,
	})
	if err != nil {
		return ocispec.Descriptor{}, nil, fmt.Errorf("write manifest: %w", err)
	}
	if len(data) > maxManifest {
		return ocispec.Descriptor{}, nil, fmt.Errorf("the manifest would have %d bytes, at most %d: split the fleet into repositories", len(data), maxManifest)
	}
	d := manifestDescriptor(data)
	d.ArtifactType = artifactType
	return d, data, nil
}

// manifest is the one under which a module lies in the registry.
func (m *moduleFile) manifest() (ocispec.Descriptor, []byte, error) {
	return manifestOf(m.artefact, m.config.desc, []ocispec.Descriptor{m.layer}, nil)
}

const maxTag = 128 // characters

// tagOf makes a tag of words. A long one is cut, and stays its own by a digest.
func tagOf(words ...string) string {
	tag := strings.ReplaceAll(strings.Join(words, "-"), "+", "_")
	if len(tag) > 100 { // 128 are allowed, and a digest may follow
		tag = tag[:80] + "-" + digest.FromString(tag).Encoded()[:12]
	}
	return tag
}

// moduleTag is for people, and keeps the registry from collecting the module.
func moduleTag(m AppMetadata, function string) string { return tagOf(m.Name, function, m.Version) }

// short is the beginning of a digest, without its algorithm.
func short(d string) string {
	_, hex, _ := strings.Cut(d, ":")
	return hex[:min(len(hex), 12)]
}
