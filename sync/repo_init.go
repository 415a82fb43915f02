package fleetsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/skerry-edge/skerry/sync/trust"
)

// InitOptions say which fleet to begin where.
type InitOptions struct {
	Access           // Keys is the folder to make
	Name      string // "" for the last part of the repository
	RootKeys  int    // keys of the root; 0 means 1
	Threshold int    // how many of them must sign a new root; 0 means 1
	Encrypt   bool   // all keys: Access.Passphrase is asked for each
}

// InitResult is a fleet that was begun.
type InitResult struct {
	Ref         string
	Name        string
	Fingerprint string   // of Root: 64 hex digits for people to compare
	Root        []byte   // what devices are given
	KeyFiles    []string // the private keys
}

// InitFleet makes a fleet's keys and publishes it, signed and with no documents
// yet. It refuses a reference that holds something, and a folder that is in use; what
// an interrupted one left in the folder is taken up again.
func InitFleet(ctx context.Context, opts InitOptions) (InitResult, error) {
	meter := &sendMeter{}
	ref, to, err := opts.connect(meter)
	if err != nil {
		return InitResult{}, err
	}
	r := &FleetRepo{access: opts.Access, ref: ref, to: to, meter: meter}
	if r.keys, err = newKeys(opts.Keys, KeysNote{Name: cmp.Or(opts.Name, ref.name()), Ref: ref.String()}); err != nil {
		return InitResult{}, err
	}
	switch now, err := to.resolve(ctx, ref.tag); {
	case err != nil:
		return InitResult{}, fmt.Errorf("ask %s: %w", ref, err)
	case now != "" && r.read(ctx) != nil: // else it is what an interrupted one published
		return InitResult{}, fmt.Errorf("%s holds a fleet already: publish to it with its keys, or name another repository or tag", ref)
	case now == "":
		if err := r.begin(ctx, opts); err != nil {
			return InitResult{}, fmt.Errorf("begin a fleet at %s: %w", ref, err)
		}
	}
	if err := r.keys.remember(r.signed.State()); err != nil {
		return InitResult{}, err
	}
	return r.begun()
}

// newKeys is a folder for new keys.
func newKeys(dir string, note KeysNote) (*keysFolder, error) {
	if dir == "" {
		return nil, errors.New("say which folder the fleet's keys go to")
	}
	if !nameForm.MatchString(note.Name) {
		return nil, fmt.Errorf("%.80q is no name of a fleet: use lower case letters, digits and hyphens, at most 63", note.Name)
	}
	k := &keysFolder{dir: dir, note: note}
	var was KeysNote
	noted := k.readJSON(keysNote, &was) == nil
	_, unfinished := os.Stat(k.file(keysSeen))
	there, err := filepath.Glob(k.file("*.pem"))
	if err != nil {
		return nil, err
	}
	if unfinished == nil || len(there) > 0 && (!noted || was != note) { // a note alone is of one that got nowhere
		return nil, fmt.Errorf("%s holds the keys of %s already: name another folder with --keys, or another fleet with --name", dir, cmp.Or("fleet "+was.Name, "a fleet"))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the keys folder: %w", err)
	}
	if k.root, err = os.ReadFile(k.file(keysRoot)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the keys folder: %w", err)
	}
	return k, k.writeNote()
}

// begin makes the keys, and publishes what they sign.
func (r *FleetRepo) begin(ctx context.Context, opts InitOptions) error {
	root := trust.Signers{Threshold: opts.Threshold}
	for i := range max(opts.RootKeys, 1) {
		root.Keys = append(root.Keys, numbered("root", i+1))
	}
	for _, name := range append(slices.Clone(root.Keys), "release") {
		if _, err := r.createKey(name, opts.Encrypt); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	ring, err := r.ring()
	if err != nil {
		return err
	}
	signed, err := trust.New(ring, trust.NewOptions{Root: root})
	if err != nil {
		return err
	}
	if err := signed.Sign(ring, r.access.now()); err != nil {
		return err
	}
	files := signed.Files()
	if err := replaceFile(r.keys.file(keysRoot), files["1.root.json"], 0o600); err != nil {
		return fmt.Errorf("write the keys folder: %w", err)
	}
	r.keys.root = files["1.root.json"]
	desc, data, blobs, err := manifestOfFiles(files, nil)
	if err != nil {
		return err
	}
	for _, b := range blobs {
		if there, err := r.to.has(ctx, b.desc); err != nil || there {
			continue // an error comes again in pushing it
		}
		if err := r.to.push(ctx, b.desc, b.data); err != nil {
			return err
		}
	}
	if err := r.to.tagManifest(ctx, desc, data, r.ref.tag, ""); err != nil {
		return err
	}
	return r.read(ctx)
}

func (r *FleetRepo) begun() (InitResult, error) {
	fingerprint, err := trust.Fingerprint(r.keys.root)
	if err != nil {
		return InitResult{}, err
	}
	files, err := filepath.Glob(r.keys.file("*.pem"))
	return InitResult{Ref: r.ref.String(), Name: r.keys.note.Name, Fingerprint: fingerprint, Root: r.keys.root, KeyFiles: files}, err
}

// createKey makes a key in the folder of keys.
func (r *FleetRepo) createKey(name string, encrypt bool) (trust.Key, error) {
	if !encrypt {
		return trust.CreateKey(r.keys.dir, name, nil)
	}
	if r.access.Passphrase == nil {
		return trust.Key{}, errors.New("there is nobody to ask for the passphrase of a new key: make it without one, or on a terminal")
	}
	passphrase, err := r.access.Passphrase(filepath.Join(r.keys.dir, name+".pem"))
	if err != nil {
		return trust.Key{}, err
	}
	return trust.CreateKey(r.keys.dir, name, passphrase)
}

// numbered is the n-th name: root, root-2, root-3.
func numbered(name string, n int) string {
	if n == 1 {
		return name
	}
	return name + "-" + strconv.Itoa(n)
}
