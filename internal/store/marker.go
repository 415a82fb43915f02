package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// marker is what a checkpoint leaves beside Badger, so that a database which
// has lost data shows: 4 bytes CRC32C, 8 bytes applied sequence, 8 bytes
// number of tables, sums of the keys.
type marker struct {
	applied, tables uint64
	sums            keySums
}

const markerBytes = 20 + sumsBytes

const markerName = "checkpoint"

func (m *marker) write(fs fileSystem, dir string) error {
	b := make([]byte, 4, markerBytes)
	b = binary.LittleEndian.AppendUint64(b, m.applied)
	b = binary.LittleEndian.AppendUint64(b, m.tables)
	b = append(b, m.sums.encode()...)
	binary.LittleEndian.PutUint32(b, checksum(b[4:]))
	if err := fs.Replace(filepath.Join(dir, markerName), b); err != nil {
		return fmt.Errorf("write checkpoint marker: %w", err)
	}
	return nil
}

// readMarker returns the zero marker if there is none; a damaged one is an error.
func readMarker(fs fileSystem, dir string) (marker, error) {
	b, err := readFile(fs, filepath.Join(dir, markerName))
	if errors.Is(err, os.ErrNotExist) {
		return marker{}, nil
	}
	if err != nil {
		return marker{}, err
	}
	if len(b) != markerBytes || binary.LittleEndian.Uint32(b) != checksum(b[4:]) {
		return marker{}, fmt.Errorf("checkpoint marker: %w", errDamaged)
	}
	return marker{binary.LittleEndian.Uint64(b[4:]), binary.LittleEndian.Uint64(b[12:]), decodeSums(b[20:])}, nil
}
