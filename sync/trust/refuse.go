package trust

import (
	"errors"
	"fmt"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// refuse is a sentence about a file: what is wrong with it, and the particulars.
func refuse(file string, why error, particulars string, args ...any) error {
	return fmt.Errorf("%s: %w (%s)", file, why, fmt.Sprintf(particulars, args...))
}

// guarded runs a step of go-tuf over strangers' bytes. It turns its error into one
// of ours, and its panic as well: go-tuf follows members that a file left out.
func guarded(file string, step func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = refuse(file, ErrInvalid, "a part of it is missing")
		}
	}()
	return translate(file, step())
}

func translate(file string, err error) error {
	var (
		unsigned   *metadata.ErrUnsignedMetadata
		mismatch   *metadata.ErrLengthOrHashMismatch
		badVersion *metadata.ErrBadVersionNumber
		expired    *metadata.ErrExpiredMetadata
	)
	why := ErrInvalid
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unsigned):
		return fmt.Errorf("%s: %w", file, ErrUnsigned)
	case errors.As(err, &mismatch):
		return fmt.Errorf("%s: %w", file, ErrTampered)
	case errors.As(err, &badVersion):
		why = ErrMixed
	case errors.As(err, &expired):
		why = ErrExpired
	}
	return refuse(file, why, "%v", err)
}
