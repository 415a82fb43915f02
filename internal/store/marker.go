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
// number of tables.
type marker struct{ applied, tables uint64 }

const markerName = "checkpoint"

func (m *marker) write(dir string) error {
	b := make([]byte, 4, 20)
	b = binary.LittleEndian.AppendUint64(b, m.applied)
	b = binary.LittleEndian.AppendUint64(b, m.tables)
	binary.LittleEndian.PutUint32(b, checksum(b[4:]))
	if err := writeDurably(filepath.Join(dir, markerName), b); err != nil {
		return fmt.Errorf("write checkpoint marker: %w", err)
	}
	return nil
}

// readMarker returns the zero marker if there is none; a damaged one is an error.
func readMarker(dir string) (marker, error) {
	b, err := os.ReadFile(filepath.Join(dir, markerName))
	if errors.Is(err, os.ErrNotExist) {
		return marker{}, nil
	}
	if err != nil {
		return marker{}, err
	}
	if len(b) != 20 || binary.LittleEndian.Uint32(b) != checksum(b[4:]) {
		return marker{}, fmt.Errorf("checkpoint marker: %w", errDamaged)
	}
	return marker{binary.LittleEndian.Uint64(b[4:]), binary.LittleEndian.Uint64(b[12:])}, nil
}
