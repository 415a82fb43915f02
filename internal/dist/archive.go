package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// file is one of an archive.
type file struct {
	name string // in the archive, with slashes
	data []byte
	mode int64
}

// writeArchive writes files as a tar.gz below one folder. Nothing of this machine
// gets into it: owners are root, times are at, the order is that of the names.
func writeArchive(to, folder string, at time.Time, files []file) (err error) {
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	made := map[string]bool{}
	for _, one := range files {
		one.name = path.Join(folder, one.name)
		if err := addFile(w, made, at, one); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
	}
	return errors.Join(w.Close(), z.Close())
}

// addFile adds a file, and first the folders above it that are not made yet.
func addFile(w *tar.Writer, made map[string]bool, at time.Time, f file) error {
	var above []string
	for dir := path.Dir(f.name); dir != "." && !made[dir]; dir = path.Dir(dir) {
		above, made[dir] = append(above, dir), true
	}
	for _, dir := range slices.Backward(above) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: at, Format: tar.FormatUSTAR}); err != nil {
			return err
		}
	}
	head := tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: at, Format: tar.FormatUSTAR}
	if err := w.WriteHeader(&head); err != nil {
		return err
	}
	_, err := w.Write(f.data)
	return err
}

// gzipped is data as gzip -9n has it.
func gzipped(data []byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = z.Write(data)
	err = errors.Join(err, z.Close())
	return out.Bytes(), err
}

// readFile is a file of the tree under another name.
func readFile(from, name string) (file, error) {
	f, err := os.Open(filepath.FromSlash(from))
	if err != nil {
		return file{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	return file{name: name, data: data, mode: 0o644}, err
}
