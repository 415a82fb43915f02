package trust

import (
	"context"
	"errors"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Files gives a repository's files by name: "1.root.json", "timestamp.json",
// "7.snapshot.json", "3.targets.json", "5.fleet.json", and the documents
// "fleet.json" and "apps/<name>/<version>.json". ErrAbsent if there is none of
// the name, an error too if it is larger than limit bytes.
type Files interface {
	File(ctx context.Context, name string, limit int64) ([]byte, error)
}

// Why documents are refused. What ran before runs on.
var (
	ErrAbsent   = errors.New("there is no such file")
	ErrRollback = errors.New("it is older than what was accepted here before")
	ErrExpired  = errors.New("its signatures have expired")
	ErrUnsigned = errors.New("it is not signed by enough of this fleet's keys")
	ErrTampered = errors.New("it is not what was signed")
	ErrMixed    = errors.New("its files are of different publications")
	ErrTooLarge = errors.New("it is larger than it may be")
	ErrInvalid  = errors.New("it is not readable as what it should be")
)

// State is what a device keeps of a repository between two looks: the newest
// files it accepted, as they were. The zero State is that of a device that knows
// its factory root alone.
type State struct {
	Factory   string `json:"factory,omitempty"` // digest of the factory root that Root was reached from
	Root      []byte `json:"root,omitempty"`
	Timestamp []byte `json:"timestamp,omitempty"`
	Snapshot  []byte `json:"snapshot,omitempty"`
	Targets   []byte `json:"targets,omitempty"`
	Fleet     []byte `json:"fleet,omitempty"` // of the delegated role
}

// Verified are documents whose signatures were checked.
type Verified struct {
	State   State
	Root    int64     // version of the root
	Version int64     // of the timestamp: grows with each publication
	Issued  time.Time // of the timestamp: true time is not before it; zero if its signer did not say
	Expires time.Time // the first of the files to expire; the device must look again before
	// Documents are the sizes in bytes of the documents that are signed, by name.
	Documents map[string]int64

	hashes map[string]*metadata.TargetFiles
	files  Files
}
