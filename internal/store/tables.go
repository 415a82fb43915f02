package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	badgertable "github.com/dgraph-io/badger/v4/table"
)

// mendTables looks at the tables in dir and at the list of them before Badger
// does. Badger would crash over a damaged table, in goroutines where nobody
// can catch it, and delete the tables that a damaged list does not name.
func mendTables(dir, aside string, hadTables bool, o badger.Options) error {
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		return err
	}
	var good []string
	for _, path := range tables {
		b, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read database: %w", err)
		}
		if tableIntact(b) {
			good = append(good, path)
			continue
		}
		o.Logger.Errorf("table %s is damaged and set aside, with the keys in it", path)
		if err := setAside(dir, filepath.Base(path), aside); err != nil {
			return err
		}
	}
	unlisted, err := checkManifest(dir, good, hadTables, o)
	if err != nil || len(good) < len(tables) {
		if err != nil {
			o.Logger.Errorf("%v; the list is made anew", err)
		}
		if err := setAside(dir, badger.ManifestFilename, aside); err != nil {
			return err
		}
		return writeManifest(dir, good)
	}
	for _, path := range unlisted { // Badger deletes them
		if err := keepLink(path, aside); err != nil {
			return err
		}
	}
	return nil
}

// checkManifest returns the tables that the list of tables does not name:
// leftovers, if the list is intact. It is an error if it is not.
func checkManifest(dir string, tables []string, hadTables bool, o badger.Options) (unlisted []string, err error) {
	path := filepath.Join(dir, badger.ManifestFilename)
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && len(tables) == 0 && !hadTables {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("database %s holds %d tables but its list of tables cannot be read: %w", dir, len(tables), err)
	}
	defer f.Close() // only read
	m, end, err := badger.ReplayManifestFile(f, 0, o)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() != end || len(m.Tables) == 0 && hadTables {
		return nil, fmt.Errorf("%s is cut short", path)
	}
	for _, path := range tables {
		if id, ok := badgertable.ParseFileID(filepath.Base(path)); ok {
			if _, listed := m.Tables[id]; !listed {
				unlisted = append(unlisted, path)
			}
			delete(m.Tables, id)
		}
	}
	if len(m.Tables) > 0 {
		return nil, fmt.Errorf("%d tables that %s names are gone", len(m.Tables), path)
	}
	return unlisted, nil
}

// writeManifest lists tables anew, all in the level where tables may overlap:
// each entry carries its version, so the newest one of a key still wins.
func writeManifest(dir string, tables []string) error {
	var changes []byte // protobuf: repeated field 1, each with the table's number as field 1
	for _, path := range tables {
		id, ok := badgertable.ParseFileID(filepath.Base(path))
		if !ok {
			continue
		}
		change := binary.AppendUvarint([]byte{1 << 3}, id)
		changes = append(binary.AppendUvarint(append(changes, 1<<3|2), uint64(len(change))), change...)
	}
	b := append([]byte("Bdgr"), 0, 0, 0, 8)
	b = binary.BigEndian.AppendUint32(b, uint32(len(changes)))
	b = binary.BigEndian.AppendUint32(b, checksum(changes))
	return disk{}.Replace(filepath.Join(dir, badger.ManifestFilename), append(b, changes...))
}

// tableIntact verifies the index of a table and each of its blocks.
func tableIntact(b []byte) bool {
	rest, sum, ok := cutChecksum(b)
	if !ok || len(rest) < 4 {
		return false
	}
	n := int64(binary.BigEndian.Uint32(rest[len(rest)-4:]))
	end := int64(len(rest) - 4)
	if n < 16 || n > end || uint64(checksum(rest[end-n:end])) != sum {
		return false
	}
	index := fb.GetRootAsTableIndex(rest[end-n:end], 0)
	var at fb.BlockOffset
	for i := range index.OffsetsLength() {
		if !index.Offsets(&at, i) || int64(at.Offset())+int64(at.Len()) > end-n {
			return false
		}
		block, sum, ok := cutChecksum(b[at.Offset() : at.Offset()+at.Len()])
		if !ok || uint64(checksum(block)) != sum {
			return false
		}
	}
	return true
}

// cutChecksum takes off what ends tables and blocks: a protobuf message whose
// field 2 is a CRC32C, and its length.
func cutChecksum(b []byte) (rest []byte, sum uint64, ok bool) {
	if len(b) < 4 {
		return nil, 0, false
	}
	n := int64(binary.BigEndian.Uint32(b[len(b)-4:]))
	if n > int64(len(b)-4) {
		return nil, 0, false
	}
	rest = b[:int64(len(b)-4)-n]
	r := reader{b: b[len(rest) : len(b)-4]}
	for r.left() > 0 && !r.bad {
		switch field, v := r.uvarint(), r.uvarint(); field {
		case 1 << 3:
			ok = v == 0 // CRC32C
		case 2 << 3:
			sum, ok = v, true
		}
	}
	return rest, sum, ok && !r.bad
}

// setAside moves files of the database away, under a name that is free.
func setAside(dir, pattern, aside string) error {
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return err
	}
	for _, path := range paths {
		to, err := freeName(path, aside)
		if err == nil {
			err = os.Rename(path, to)
		}
		if err != nil {
			return fmt.Errorf("set %s aside: %w", path, err)
		}
	}
	return nil
}

// keepLink keeps a file that is about to be deleted, if the disk can and not
// too many are kept already: nearly always it is only what a crash left behind.
func keepLink(path, aside string) error {
	if kept, err := filepath.Glob(filepath.Join(aside, "badger-*")); err != nil || len(kept) >= maxAside {
		return err
	}
	to, err := freeName(path, aside)
	if err == nil {
		err = os.Link(path, to)
	}
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("keep %s: %w", path, err)
	}
	return nil
}

// freeName is where a file of the database goes: its name, with a number if
// that is taken.
func freeName(path, aside string) (string, error) {
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return "", err
	}
	name := strings.ReplaceAll(filepath.Base(path), ".", "-")
	for i := 0; ; i++ {
		to := filepath.Join(aside, fmt.Sprintf("badger-%s-%d", name, i))
		if _, err := os.Lstat(to); errors.Is(err, os.ErrNotExist) {
			return to, nil
		}
	}
}
