package trust

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Verify checks what files holds, from the newest root known down to the
// documents' hashes, and against what was accepted before: kept is the State of
// the last look, zero at the first. factory is the root the device was made with.
// now is the caller's best knowledge of the time; it is raised to what the
// timestamps prove.
//
// A kept file that cannot be used (empty, garbled, signed by keys that were
// rotated away) counts as not there.
//
// An error names the file and wraps one of the Err values, or is what files
// answered. Verified is nil then, but with ErrExpired: all is as it was signed but
// too old, so that its State may be kept and shown while its documents are not to
// be put to use. ErrAbsent says that nothing was published.
func Verify(ctx context.Context, factory []byte, kept State, files Files, now time.Time) (*Verified, error) {
	r, err := start(factory, kept, files)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{r.walk, r.timestamp, r.snapshot, r.targets, r.fleet} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	v := &Verified{
		State: r.state, files: files,
		Root:      r.trusted.Root.Signed.Version,
		Version:   r.trusted.Timestamp.Signed.Version,
		Issued:    issued(&r.trusted.Timestamp.Signed),
		Documents: map[string]int64{}, hashes: map[string]*metadata.TargetFiles{},
	}
	if err := r.documents(v); err != nil {
		return nil, err
	}
	return v, r.expiry(v, now)
}

// Check judges what is kept, without any files: after a look that found nothing
// new, and for showing. Errors as of Verify; ErrAbsent if nothing was accepted yet.
func (s State) Check(factory []byte, now time.Time) (*Verified, error) {
	return Verify(context.Background(), factory, s, keptFiles(s), now)
}

// expiry finds the first file to expire and judges it. A timestamp that was kept
// proves a time too, for as long as its keys are trusted.
func (r *round) expiry(v *Verified, now time.Time) error {
	for _, proof := range []*metadata.TimestampType{
		&r.trusted.Timestamp.Signed,
		usable[metadata.TimestampType](r.trusted.Root, RoleTimestamp, r.kept.Timestamp),
	} {
		if at := issued(proof); at.After(now) {
			now = at
		}
	}
	var first string
	for _, f := range []struct {
		name string
		at   time.Time
	}{
		{numbered(v.Root, RoleRoot), r.trusted.Root.Signed.Expires},
		{"timestamp.json", r.trusted.Timestamp.Signed.Expires},
		{"snapshot.json", r.trusted.Snapshot.Signed.Expires},
		{"targets.json", r.trusted.Targets[string(RoleTargets)].Signed.Expires},
		{"the signatures over fleet.json", r.trusted.Targets[string(RoleFleet)].Signed.Expires},
	} {
		if first == "" || f.at.Before(v.Expires) {
			first, v.Expires = f.name, f.at
		}
	}
	if now.After(v.Expires) {
		return refuse(first, ErrExpired, "on %s, and now it is %s: whoever publishes must sign anew",
			v.Expires.UTC().Format(time.DateOnly), now.UTC().Format(time.DateOnly))
	}
	return nil
}

// issuedField of a timestamp is when it was signed, RFC 3339.
const issuedField = "x-issued"

func issued(t *metadata.TimestampType) time.Time {
	if t == nil {
		return time.Time{}
	}
	text, _ := t.UnrecognizedFields[issuedField].(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// fleetDocument is the one document whose signer is named by targets.
const fleetDocument = "fleet.json"

var appDocument = regexp.MustCompile(`^apps/[A-Za-z0-9][A-Za-z0-9._-]{0,127}/[A-Za-z0-9][A-Za-z0-9.+_-]{0,127}\.json$`)

// delegates tells whether the fleet document has a signer.
func delegates(to *metadata.Delegations) bool {
	if to == nil {
		return false
	}
	for _, role := range to.Roles {
		if ok, err := role.IsDelegatedPath(fleetDocument); role.Name == string(RoleFleet) {
			return ok && err == nil
		}
	}
	return false
}

// documents lists what is signed. A signer who goes beyond what is his is refused
// with everything: no honest publication does it.
func (r *round) documents(v *Verified) error {
	for _, role := range []Role{RoleTargets, RoleFleet} {
		signed := r.trusted.Targets[string(role)].Signed
		file := numbered(signed.Version, role)
		for name, target := range signed.Targets {
			app := appDocument.MatchString(name)
			switch {
			case !app && name != fleetDocument:
				return refuse(file, ErrInvalid, "it names a document %.80q", name)
			case app != (role == RoleTargets):
				return refuse(file, ErrUnsigned, "its keys may not sign %s", name)
			case target == nil || target.Length < 0:
				return refuse(file, ErrInvalid, "it gives no size of %s", name)
			case target.Length > maxDocument:
				return refuse(name, ErrTooLarge, "%d bytes, at most %d", target.Length, maxDocument)
			}
			v.Documents[name], v.hashes[name] = target.Length, target
		}
	}
	return nil
}

// Document returns the document called name, checked by size and hash. Errors:
// ErrAbsent if none of that name is signed or there, ErrTampered, ErrTooLarge.
func (v *Verified) Document(ctx context.Context, name string) ([]byte, error) {
	signed, ok := v.hashes[name]
	if !ok {
		return nil, refuse(name, ErrAbsent, "it is not signed, or was revoked")
	}
	data, err := fetch(ctx, v.files, name, signed.Length)
	if err != nil {
		return nil, err
	}
	if err := translate(name, signed.VerifyLengthHashes(data)); err != nil {
		return nil, err
	}
	return data, nil
}

// Fingerprint returns the 64 hex digits by which people compare a fleet's first
// root: the SHA-256 of its JSON without white space. ErrInvalid if root is not a
// root of version 1, ErrUnsigned if it does not sign itself.
func Fingerprint(root []byte) (string, error) {
	const file = "the root"
	trusted, err := trust(file, root)
	if err != nil {
		return "", err
	}
	if v := trusted.Root.Signed.Version; v != 1 {
		return "", refuse(file, ErrInvalid, "version %d, a fleet is known by its first", v)
	}
	return digest(root), nil
}

// digest is the SHA-256 of JSON, whatever white space an editor gave it.
func digest(root []byte) string {
	var compact bytes.Buffer
	if err := json.Compact(&compact, root); err != nil {
		compact.Reset()
		compact.Write(root)
	}
	return hex.EncodeToString(sha(compact.Bytes()))
}

func sha(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}
