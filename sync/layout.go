package fleetsync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
	"oras.land/oras-go/v2/content/oci"

	"github.com/skerry-edge/skerry/agent"
)

// layout is an OCI image layout: a directory that a USB stick can carry.
type layout struct {
	dir, tag string
	sent     func(n int64) // bytes written; may be nil
}

func (l *layout) path(d digest.Digest) string {
	return filepath.Join(l.dir, ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

// manifest finds the tag in the index; its digest serves as etag.
func (l *layout) manifest(_ context.Context, etag string) (manifest, error) {
	index, err := l.index()
	if err != nil {
		return manifest{}, err
	}
	i := tagged(index, l.tag)
	if i < 0 {
		return manifest{}, fmt.Errorf("%s has no tag %q: %w", l.dir, l.tag, ErrNothingPublished)
	}
	d := index.Manifests[i]
	if err := checkDescriptor(d, maxManifest); err != nil {
		return manifest{}, fmt.Errorf("index of %s: %w", l.dir, err)
	}
	m := manifest{digest: agent.Digest(d.Digest), etag: d.Digest.String()}
	if etag == m.etag {
		return manifest{}, errUnchanged
	}
	m.data, err = readFile(l.path(d.Digest), maxManifest)
	if err != nil {
		return manifest{}, fmt.Errorf("read the manifest of %s: %w", l.dir, err)
	}
	if got := digest.FromBytes(m.data); got != d.Digest {
		return manifest{}, damaged("the manifest of "+l.dir, m.digest, agent.Digest(got))
	}
	return m, nil
}

// index reads index.json; an absent one is empty, so that a stick may come later.
func (l *layout) index() (ocispec.Index, error) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	data, err := readFile(filepath.Join(l.dir, ocispec.ImageIndexFile), maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return index, nil
	}
	if err != nil {
		return index, fmt.Errorf("read OCI layout: %w", err)
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return index, fmt.Errorf("%s in %s is damaged: %w", ocispec.ImageIndexFile, l.dir, err)
	}
	return index, nil
}

// tagged is the place of a tag in the index, -1 if it has none.
func tagged(index ocispec.Index, tag string) int {
	return slices.IndexFunc(index.Manifests, func(d ocispec.Descriptor) bool {
		return d.Annotations[ocispec.AnnotationRefName] == tag
	})
}

func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f, limit)
}

func (l *layout) open(_ context.Context, d ocispec.Descriptor, offset int64) (io.ReadCloser, error) {
	f, err := os.Open(l.path(d.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, permanent(fmt.Errorf("%s in %s: %w", d.Digest, l.dir, errAbsent))
	}
	if err != nil {
		return nil, permanent(err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() != d.Size {
		err = fmt.Errorf("%s has %d bytes, the document says %d: %w", d.Digest, info.Size(), d.Size, ErrDamaged)
	}
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, permanent(err)
	}
	return f, nil
}

// has counts only a blob that is whole: a damaged one is written again.
func (l *layout) has(_ context.Context, d ocispec.Descriptor) (bool, error) {
	data, err := readFile(l.path(d.Digest), d.Size)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && digest.FromBytes(data) == d.Digest {
		return true, nil
	}
	if err := os.Remove(l.path(d.Digest)); err != nil {
		return false, fmt.Errorf("remove a damaged blob: %w", err)
	}
	return false, nil
}

func (l *layout) push(ctx context.Context, d ocispec.Descriptor, data []byte) error {
	store, err := oci.NewStorage(l.dir)
	if err != nil {
		return fmt.Errorf("open OCI layout: %w", err)
	}
	if err := store.Push(ctx, d, bytes.NewReader(data)); err != nil {
		return fmt.Errorf("write OCI layout: %w", err)
	}
	if l.sent != nil {
		l.sent(int64(len(data)))
	}
	return nil
}

func (l *layout) resolve(_ context.Context, tag string) (agent.Digest, error) {
	index, err := l.index()
	if err != nil {
		return "", err
	}
	if i := tagged(index, tag); i >= 0 {
		return agent.Digest(index.Manifests[i].Digest), nil
	}
	return "", nil
}

// tagManifest writes the manifest and moves the tag, under a lock, so that of
// two publishers one wins and the other is told.
func (l *layout) tagManifest(ctx context.Context, d ocispec.Descriptor, data []byte, tag string, was agent.Digest) error {
	there, err := l.has(ctx, d)
	if err == nil && !there {
		err = l.push(ctx, d, data)
	}
	if err != nil {
		return err
	}
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	index, err := l.index()
	if err != nil {
		return err
	}
	i := tagged(index, tag)
	if i < 0 {
		i, index.Manifests = len(index.Manifests), append(index.Manifests, ocispec.Descriptor{})
	}
	if agent.Digest(index.Manifests[i].Digest) != was {
		return ErrMoved
	}
	d.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
	index.Manifests[i] = d
	return l.writeIndex(index)
}

func (l *layout) writeIndex(index ocispec.Index) error {
	mark, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return err
	}
	data, err := json.Marshal(index)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(l.dir, ocispec.ImageLayoutFile), mark); err != nil {
		return fmt.Errorf("write OCI layout: %w", err)
	}
	if err := writeFile(filepath.Join(l.dir, ocispec.ImageIndexFile), data); err != nil {
		return fmt.Errorf("write OCI layout: %w", err)
	}
	return nil
}

// settle has all that was written reach the disk, or the stick.
func (l *layout) settle() error {
	dir, err := os.Open(l.dir)
	if err != nil {
		return fmt.Errorf("write OCI layout: %w", err)
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("write OCI layout: %w", err)
	}
	return nil
}

func writeFile(path string, data []byte) error { return replaceFile(path, data, 0o644) }

// replaceFile replaces a file as a whole: old or new, never half. What is there
// already costs no write.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	if was, err := os.ReadFile(path); err == nil && bytes.Equal(was, data) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".skerry-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed, as it should
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// lock keeps other publishers on this machine away from the index.
func (l *layout) lock() (unlock func(), err error) {
	unlock, err = lockDir(l.dir)
	if err != nil {
		return nil, fmt.Errorf("lock OCI layout: %w", err)
	}
	return unlock, nil
}

func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
