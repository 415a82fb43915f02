package codecache

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// The files of an entry besides the native code.
const (
	sealFile   = "seal"
	moduleFile = "module.wasm"
)

const maxSeal = 1 << 20 // bytes

// sealPurpose keeps the device's key from vouching for anything but seals.
const sealPurpose = "skerry compiled code, seal 1\n"

// seal says what an entry was made of and consists of. On disk it is a line with
// the HMAC-SHA256 of the rest, in hex, and JSON.
type seal struct {
	Digest  string   // of the module as downloaded
	Engine  string   // see engineID
	Globals []string // see instrument.Result
	Impure  bool     // see instrument.Result
	Files   []file   // all but the seal, by path
}

// file is a part of an entry.
type file struct {
	Path string // below the entry's folder
	Size int64
	Sum  string // SHA-256 in hex; empty if not read yet
}

func mac(key, text []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(sealPurpose))
	h.Write(text)
	return hex.EncodeToString(h.Sum(nil))
}

func (s *seal) encode(key []byte) ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return append([]byte(mac(key, text)+"\n"), text...), nil
}

// openSeal parses what encode wrote. Nothing is parsed before its HMAC is right.
func openSeal(key, sealed []byte) (*seal, error) {
	sum, text, _ := bytes.Cut(sealed, []byte("\n"))
	if !hmac.Equal(sum, []byte(mac(key, text))) {
		return nil, errors.New("its seal is not from this device, or damaged")
	}
	var s seal
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("read seal: %w", err)
	}
	return &s, nil
}

// writeSeal seals all that is in the folder dir, and makes it durable.
func writeSeal(dir string, key []byte, s seal) (size int64, err error) {
	if s.Files, err = list(dir); err != nil {
		return 0, err
	}
	for i := range s.Files {
		f := &s.Files[i]
		if f.Sum, err = sum(filepath.Join(dir, f.Path), io.Discard); err != nil {
			return 0, err
		}
		size += f.Size
	}
	sealed, err := s.encode(key)
	if err != nil {
		return 0, err
	}
	return size + int64(len(sealed)), writeDurably(filepath.Join(dir, sealFile), sealed)
}

// verify checks all of the entry in the folder dir against its seal, and returns
// the seal and the rewritten module. An entry that is not there is fs.ErrNotExist.
func verify(dir string, key []byte, digest, engine string) (*seal, []byte, error) {
	if _, err := os.Lstat(dir); err != nil {
		return nil, nil, err
	}
	s, err := readSeal(dir, key)
	if err != nil {
		return nil, nil, err
	}
	if s.Digest != digest || s.Engine != engine {
		return nil, nil, errors.New("it is sealed as the code of another module or engine")
	}
	found, err := list(dir)
	if err != nil {
		return nil, nil, damaged(err)
	}
	same := slices.EqualFunc(found, s.Files, func(a, b file) bool { return a.Path == b.Path && a.Size == b.Size })
	if !same {
		return nil, nil, errors.New("files are missing, cut or too many")
	}
	var module bytes.Buffer
	for _, f := range s.Files {
		into := io.Discard
		if f.Path == moduleFile {
			module.Grow(int(f.Size) + bytes.MinRead)
			into = &module
		}
		got, err := sum(filepath.Join(dir, f.Path), into)
		if err != nil {
			return nil, nil, damaged(err)
		}
		if got != f.Sum {
			return nil, nil, fmt.Errorf("%s is not what was written", f.Path)
		}
	}
	return s, module.Bytes(), nil
}

// damaged is err without fs.ErrNotExist: the entry is there, a part is not.
func damaged(err error) error { return errors.New(err.Error()) }

func readSeal(dir string, key []byte) (*seal, error) {
	path := filepath.Join(dir, sealFile)
	info, err := os.Lstat(path)
	if err != nil {
		return nil, damaged(err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxSeal {
		return nil, errors.New("its seal is not a file of a seal's size")
	}
	sealed, err := os.ReadFile(path)
	if err != nil {
		return nil, damaged(err)
	}
	return openSeal(key, sealed)
}

// list returns the files below dir by path, without the seal and without sums.
func list(dir string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is not a file", path)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if rel != sealFile {
			files = append(files, file{Path: rel, Size: info.Size()})
		}
		return err
	})
	return files, err
}

// sum returns the SHA-256 of a file in hex, and copies the file to w.
func sum(path string, w io.Writer) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(h, w), f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// writeDurably makes a new file that is on the disk when it returns.
func writeDurably(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}
