package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/skerry-edge/skerry/agent"
)

// pinScope holds the journalled copies of pins; frames of others may not write it.
const pinScope = "pin"

var pinName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Pin keeps a value on which security rests: in the journal, and in one of two
// files that are replaced by turns. After an error either value may be the one
// that Pinned gives.
func (s *Store) Pin(name string, value []byte) error {
	if !pinName.MatchString(name) || len(value) > maxValue-8 {
		return fmt.Errorf("pin %.80q of %d bytes: %w", name, len(value), agent.ErrInvalid)
	}
	s.pins.Lock()
	defer s.pins.Unlock()
	_, version, err := s.pinned(name)
	if err != nil && !errors.Is(err, agent.ErrNotFound) {
		return fmt.Errorf("pin %s: %w", name, err)
	}
	version++
	b := append(binary.LittleEndian.AppendUint64(nil, version), value...)
	f := agent.Frame{Writes: []agent.Write{{Scope: pinScope, Key: name, Value: b}}}
	if err := s.commit(context.Background(), &f, nil); err != nil {
		return fmt.Errorf("pin %s: %w", name, err)
	}
	if err := s.writePin(name, version, b); err != nil {
		return fmt.Errorf("pin %s: %w", name, asFull(err))
	}
	return nil
}

// Pinned returns the newest intact value: agent.ErrNotFound if there never was
// one, another error if there was and all copies are damaged.
func (s *Store) Pinned(name string) ([]byte, error) {
	if !pinName.MatchString(name) {
		return nil, fmt.Errorf("pin %.80q: %w", name, agent.ErrInvalid)
	}
	s.pins.Lock()
	defer s.pins.Unlock()
	value, _, err := s.pinned(name)
	if err != nil {
		return nil, fmt.Errorf("read pin %s: %w", name, err)
	}
	return value, nil
}

// pinned chooses the copy with the highest version.
func (s *Store) pinned(name string) (value []byte, version uint64, err error) {
	if s.isClosed() {
		return nil, 0, errClosed
	}
	var errs []error
	take := func(b []byte, err error) {
		if err != nil {
			s.log.Error("a copy of a pinned value cannot be read", "name", name, "error", err)
			errs = append(errs, err)
		} else if len(b) >= 8 && binary.LittleEndian.Uint64(b) > version {
			version, value = binary.LittleEndian.Uint64(b), b[8:]
		}
	}
	take(s.Get(pinScope, name))
	take(s.readPin(name, 0))
	take(s.readPin(name, 1))
	switch {
	case version > 0:
		return bytes.Clone(value), version, nil
	case len(errs) > 0:
		return nil, 0, errors.Join(errs...)
	}
	return nil, 0, agent.ErrNotFound
}

func (s *Store) pinPath(name string, version uint64) string {
	return filepath.Join(s.dir, "pins", fmt.Sprintf("%s.%d", name, version%2))
}

// writePin writes a pin file: CRC32C of name and the rest, version, value.
func (s *Store) writePin(name string, version uint64, b []byte) error {
	return s.opts.files.Replace(s.pinPath(name, version),
		append(binary.LittleEndian.AppendUint32(nil, pinChecksum(name, b)), b...))
}

// readPin returns version and value; nil if there is no file.
func (s *Store) readPin(name string, turn uint64) ([]byte, error) {
	path := s.pinPath(name, turn)
	b, err := readFile(s.opts.files, path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(b) < 12 || binary.LittleEndian.Uint32(b) != pinChecksum(name, b[4:]) {
		return nil, fmt.Errorf("%s: %w", path, errDamaged)
	}
	return b[4:], nil
}

func pinChecksum(name string, b []byte) uint32 {
	return checksum(append([]byte(name+"\x00"), b...))
}
