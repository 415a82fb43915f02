package fleetsync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
)

// moduleFile is one module on its way. WebAssembly travels in the CNCF layout:
// a config that names the layer, and one layer, the module itself. JavaScript
// is one layer under the empty config of OCI.
type moduleFile struct {
	function string
	tag      string
	artefact string // type; "" if the config tells
	layer    ocispec.Descriptor
	data     []byte // nil if the document names what is published already
	config   blob
	patches  []AppPatch // of one that is published
}

// blob is something to push.
type blob struct {
	desc ocispec.Descriptor
	data []byte
}

// readModules loads the modules that an app names by path, relative to its file.
func readModules(appFile string, app *App, checks *Checks) (out []moduleFile, warnings []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(app.Functions)) {
		fn := app.Functions[name]
		mod := fn.Module
		file := moduleFile{function: name, tag: moduleTag(app.Metadata, name)}
		file.layer = ocispec.Descriptor{MediaType: typeWasm, Digest: digest.Digest(mod.Digest), Size: mod.Size}
		if mod.Path != "" {
			wrong := func(format string, a ...any) error {
				return &DocumentError{File: appFile, Path: "functions." + name + ".module.path", Reason: fmt.Sprintf(format, a...)}
			}
			imports, err := file.load(resolvePath(appFile, mod.Path), fn.memory(), checks.Module)
			if err != nil {
				return nil, nil, wrong("%v", err)
			}
			if mod.Digest != "" && mod.Digest != file.layer.Digest.String() {
				return nil, nil, wrong("%s has digest %s, the app says %s: remove the digest", mod.Path, file.layer.Digest, mod.Digest)
			}
			notes, err := checkGrants(appFile, name, &fn, imports)
			if err != nil {
				return nil, nil, err
			}
			warnings = append(warnings, notes...)
			if err := file.tryStart(app.Metadata.Name, &fn, checks.Start); err != nil {
				return nil, nil, wrong("%s does not start: %v", mod.Path, err)
			}
			if file.layer.Size > usualModule {
				warnings = append(warnings, fmt.Sprintf("the module of function %s has %d bytes: devices take %d unless their limits.module says more", name, file.layer.Size, usualModule))
			}
		}
		out = append(out, file)
	}
	return out, warnings, nil
}

func resolvePath(appFile, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(appFile), path)
}

// load reads a module and gives what it imports.
func (m *moduleFile) load(path string, memory int64, check func([]byte, int64) ([]string, error)) (imports []string, err error) {
	data, err := readFile(path, maxModule)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist: build the module, or mend the path", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	if err := m.wrap(path, data); err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	if check == nil {
		return nil, nil
	}
	if imports, err = check(data, memory); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return imports, nil
}

// tryStart starts the module as fn, on a device that gives it all it names.
func (m *moduleFile) tryStart(app string, fn *AppFunction, try func(agent.Function, []byte) error) error {
	if try == nil {
		return nil
	}
	bound := fn.bind(app+"/"+m.function, &Device{})
	bound.Digest, bound.Size = agent.Digest(m.layer.Digest), m.layer.Size
	return try(bound, m.data)
}

// wrap describes data as what it is.
func (m *moduleFile) wrap(path string, data []byte) error {
	if err := CheckModuleFile(path, data); err != nil {
		return err
	}
	m.data = data
	return m.describe(data)
}

// describe fills in how data lies in the registry.
func (m *moduleFile) describe(data []byte) error {
	m.layer.Digest, m.layer.Size = digest.FromBytes(data), int64(len(data))
	if !bytes.HasPrefix(data, wasmMagic) {
		empty := ocispec.DescriptorEmptyJSON
		m.artefact, m.layer.MediaType = typeJavaScript, typeJavaScript
		m.config = blob{ocispec.Descriptor{MediaType: empty.MediaType, Digest: empty.Digest, Size: empty.Size}, empty.Data}
		return nil
	}
	config, err := json.Marshal(map[string]any{
		"architecture": "wasm", "os": "wasip1", "layerDigests": []digest.Digest{m.layer.Digest},
	})
	m.config = blob{ocispec.Descriptor{MediaType: typeWasmConfig, Digest: digest.FromBytes(config), Size: int64(len(config))}, config}
	return err
}

func (m *moduleFile) blobs() []blob {
	if m.data == nil {
		return []blob{{desc: m.layer}}
	}
	return []blob{{m.layer, m.data}, m.config}
}

// tagModule pushes the module's manifest. A tag that names another module, as
// of app a-b with function c and app a with function b-c, is left to it.
func (s *pushing) tagModule(ctx context.Context, m *moduleFile) error {
	if m.data == nil {
		return nil
	}
	desc, data, err := m.manifest()
	if err != nil {
		return err
	}
	return tagBeside(ctx, s.to, desc, data, m.tag)
}

// tagBeside stores a manifest under tag, or under one with its digest if that
// tag names another.
func tagBeside(ctx context.Context, to publisher, desc ocispec.Descriptor, data []byte, tag string) error {
	now, err := to.resolve(ctx, tag)
	if err != nil {
		return err
	}
	if now != "" && string(now) != desc.Digest.String() {
		tag += "-" + desc.Digest.Encoded()[:12]
		if now, err = to.resolve(ctx, tag); err != nil {
			return err
		}
	}
	if string(now) == desc.Digest.String() {
		return nil
	}
	return to.tagManifest(ctx, desc, data, tag, now)
}

// sendMeter turns sent bytes into progress.
type sendMeter struct {
	mu          sync.Mutex
	tell        Progress
	done, total int64
}

func (m *sendMeter) start(blobs []blob, manifest int64, tell Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done, m.total, m.tell = 0, manifest, tell
	for _, b := range blobs {
		m.total += b.desc.Size
	}
}

func (m *sendMeter) add(n int64) {
	m.mu.Lock()
	m.done += n
	tell, done, total := m.tell, min(m.done, m.total), m.total
	m.mu.Unlock()
	if tell != nil {
		tell(stepSending, done, total)
	}
}
