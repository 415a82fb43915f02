package fleetsync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sync/trust"
)

// Export writes what devices may need into a directory, an OCI image layout: the
// signed documents, and modules and patches of all versions that assignments
// name. It verifies on a device as the registry does. A directory that holds an
// export already is brought up to date.
func (r *FleetRepo) Export(ctx context.Context, dir string, progress Progress) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("export: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, ocispec.ImageLayoutFile)); len(entries) > 0 && err != nil {
		return fmt.Errorf("export: %s holds other files: name an empty directory, or a new one", dir)
	}
	e := &exporting{FleetRepo: r, into: &layout{dir: dir, tag: defaultTag}, progress: progress}
	if err := e.mine(ctx); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := e.run(ctx); err != nil {
		return fmt.Errorf("export to %s: %w", dir, err)
	}
	return nil
}

// mine refuses a directory that holds something else under the tag, such as another
// fleet. One that is damaged is mended.
func (e *exporting) mine(ctx context.Context) error {
	m, err := e.into.manifest(ctx, "")
	if err != nil {
		return nil
	}
	there, err := readArtefact(e.into, m)
	if err == nil {
		_, err = trust.Verify(ctx, e.keys.root, trust.State{}, there, e.access.now())
		if !errors.Is(err, trust.ErrUnsigned) {
			return nil
		}
	}
	return fmt.Errorf("%s holds something else than this fleet: name an empty directory, or a new one (%w)", e.into.dir, err)
}

// exporting is one Export.
type exporting struct {
	*FleetRepo
	into        *layout
	progress    Progress
	done, total int64
}

const stepExport = "exporting"

func (e *exporting) run(ctx context.Context) error {
	if e.unread != nil {
		return e.unread
	}
	var modules []moduleFile
	for _, v := range e.assigned() {
		app, err := e.App(v)
		if err != nil {
			return err
		}
		for _, name := range bothKeys(app.Functions, nil) {
			m := moduleFile{function: name, tag: moduleTag(app.Metadata, name), patches: app.Functions[name].Module.Patches}
			m.layer = ocispec.Descriptor{MediaType: typeWasm, Digest: digest.Digest(app.Functions[name].Module.Digest), Size: app.Functions[name].Module.Size}
			modules = append(modules, m)
			e.total += m.layer.Size
			for _, p := range m.patches {
				e.total += p.Size
			}
		}
	}
	for i := range modules {
		if err := e.module(ctx, &modules[i]); err != nil {
			return err
		}
	}
	desc, data, blobs, err := manifestOfFiles(e.signed.Files(), e.fleet)
	if err != nil {
		return err
	}
	for _, b := range blobs {
		if err := e.put(ctx, b); err != nil {
			return err
		}
	}
	was, err := e.into.resolve(ctx, defaultTag)
	if err != nil {
		return err
	}
	if err := e.into.tagManifest(ctx, desc, data, defaultTag, was); err != nil {
		return err
	}
	return e.into.settle() // whoever reads that it is done pulls the stick out
}

// assigned are the versions that assignments name.
func (r *FleetRepo) assigned() []agent.AppVersion {
	return slices.DeleteFunc(r.Apps(), func(v agent.AppVersion) bool { return r.fleet == nil || !r.fleet.assigns(v) })
}

// module brings a module, its patches, and the manifests that keep them.
func (e *exporting) module(ctx context.Context, m *moduleFile) error {
	data, err := e.bring(ctx, "module of "+m.function, m.layer)
	if err != nil {
		return err
	}
	if err := m.describe(data); err != nil {
		return err
	}
	if err := e.put(ctx, m.config); err != nil {
		return err
	}
	desc, manifest, err := m.manifest()
	if err != nil {
		return err
	}
	if err := tagBeside(ctx, e.into, desc, manifest, m.tag); err != nil {
		return err
	}
	for _, p := range m.patches {
		file, err := newPatchFile(m, p, nil)
		if err != nil {
			return err
		}
		if _, err := e.bring(ctx, "patch of "+m.function, file.layer.desc); err != nil {
			return err
		}
		desc, manifest, err := file.manifest()
		if err != nil {
			return err
		}
		if err := tagBeside(ctx, e.into, desc, manifest, file.tag); err != nil {
			return err
		}
	}
	return nil
}

// bring copies a blob, unless it is there, and gives its bytes.
func (e *exporting) bring(ctx context.Context, what string, d ocispec.Descriptor) ([]byte, error) {
	from := carrier(e.to)
	there, err := e.into.has(ctx, d)
	if err != nil {
		return nil, err
	}
	if there {
		from = e.into
	}
	data, err := fetchBytes(ctx, from, what, d)
	if err == nil && !there {
		err = e.into.push(ctx, d, data)
	}
	if e.done += d.Size; e.progress != nil {
		e.progress(stepExport, e.done, e.total)
	}
	return data, err
}

func (e *exporting) put(ctx context.Context, b blob) error {
	if there, err := e.into.has(ctx, b.desc); err != nil || there {
		return err
	}
	return e.into.push(ctx, b.desc, b.data)
}

// Verify fetches every module and patch of the versions that assignments name, and
// checks that each has its digest and each patch gives its module. Patches whose
// older module is not there any more are only read.
func (r *FleetRepo) Verify(ctx context.Context, progress Progress) error {
	if r.unread != nil {
		return r.unread
	}
	done, total := int64(0), int64(0)
	var list []AppModule
	for _, v := range r.assigned() {
		app, err := r.App(v)
		if err != nil {
			return err
		}
		for _, name := range bothKeys(app.Functions, nil) {
			m := app.Functions[name].Module
			list = append(list, m)
			total += m.Size
		}
	}
	for _, m := range list {
		if err := r.verifyModule(ctx, m); err != nil {
			return err
		}
		if done += m.Size; progress != nil {
			progress("verifying", done, total)
		}
	}
	return nil
}

func (r *FleetRepo) verifyModule(ctx context.Context, m AppModule) error {
	fetch := func(what, d string, size int64) ([]byte, error) {
		return fetchBytes(ctx, r.to, what+" "+short(d), ocispec.Descriptor{Digest: digest.Digest(d), Size: size})
	}
	if _, err := fetch("module", m.Digest, m.Size); err != nil {
		return err
	}
	for _, p := range m.Patches {
		patch, err := fetch("patch", p.Digest, p.Size)
		if err != nil {
			return err
		}
		var old []byte
		if p.From != fromNothing {
			size := r.sizeOf(p.From)
			if size == 0 {
				continue
			}
			old, err = fetch("module", p.From, size)
			if errors.Is(err, errAbsent) {
				continue // as on an export
			}
			if err != nil {
				return err
			}
		}
		made, err := unpatch(patch, old, m.Size)
		if err == nil && digest.FromBytes(made).String() != m.Digest {
			err = errPatch
		}
		if err != nil {
			return fmt.Errorf("patch %s of module %s: %w", short(p.Digest), short(m.Digest), err)
		}
	}
	return nil
}

// sizeOf is the size of a published module, 0 if no published app has it.
func (r *FleetRepo) sizeOf(d string) int64 {
	for _, v := range r.Apps() {
		app, err := r.App(v)
		if err != nil {
			continue
		}
		for _, fn := range app.Functions {
			if fn.Module.Digest == d {
				return fn.Module.Size
			}
		}
	}
	return 0
}
