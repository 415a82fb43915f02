package trust

import (
	"context"
	"errors"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// usable reads a kept file; nil if it is empty, garbled, or not signed by those
// whom delegator names now.
func usable[T, D metadata.Roles](delegator *metadata.Metadata[D], role Role, kept []byte) *T {
	var file metadata.Metadata[T]
	err := guarded("", func() error {
		if _, err := file.FromBytes(kept); err != nil {
			return err
		}
		return delegator.VerifyDelegate(string(role), &file)
	})
	if err != nil {
		return nil
	}
	return &file.Signed
}

// otherPublication tells a file that belongs to another publication, signed as it
// should be, from one that was changed.
func otherPublication[T, D metadata.Roles](delegator *metadata.Metadata[D], role Role, data []byte, err error) error {
	if errors.Is(err, ErrTampered) && usable[T](delegator, role, data) != nil {
		return refuse(string(role)+".json", ErrMixed, "it is signed, but not the one that is listed")
	}
	return err
}

func older(file string, got, kept int64) error {
	return refuse(file, ErrRollback, "version %d after %d", got, kept)
}

// notOlder compares what a file lists with what its predecessor listed.
func notOlder(file string, kept, got map[string]*metadata.MetaFiles) error {
	for name, was := range kept {
		switch is := got[name]; {
		case was == nil:
		case is == nil:
			return refuse(file, ErrRollback, "it does not list %s any more", name)
		case is.Version < was.Version:
			return refuse(file, ErrRollback, "it lists version %d of %s after %d", is.Version, name, was.Version)
		}
	}
	return nil
}

// keptFiles gives what was kept as if it were a repository.
type keptFiles State

func (k keptFiles) File(_ context.Context, name string, _ int64) ([]byte, error) {
	if strings.Contains(name, "/") {
		return nil, ErrAbsent // documents are kept by whoever uses them
	}
	for suffix, data := range map[string][]byte{
		"timestamp.json": k.Timestamp, ".snapshot.json": k.Snapshot, ".targets.json": k.Targets, ".fleet.json": k.Fleet,
	} {
		if strings.HasSuffix(name, suffix) && len(data) > 0 {
			return data, nil
		}
	}
	return nil, ErrAbsent
}
