package fleetsync

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/skerry-edge/skerry/sync/trust"
)

// ErrNoKeys reports a publisher without a fleet's folder of keys.
var ErrNoKeys = errors.New("only what is signed is published")

// What lies in a keys folder, beside the keys themselves.
const (
	keysRoot = "root.json"  // the fleet's first root: what devices are given
	keysNote = "fleet.json" // KeysNote
	keysSeen = "seen.json"  // trust.State: the newest that was seen published
)

// KeysNote is what a keys folder says of its fleet.
type KeysNote struct {
	Name string `json:"name"`
	Ref  string `json:"ref"` // where it was published first
}

// keysFolder is a fleet's folder of keys: read, without the keys.
type keysFolder struct {
	dir  string
	root []byte
	note KeysNote
	seen trust.State
}

// ReadKeys tells which fleet a folder has the keys of. ErrNoKeys if of none.
func ReadKeys(dir string) (KeysNote, error) {
	k, err := openKeys(dir)
	if err != nil {
		return KeysNote{}, err
	}
	return k.note, nil
}

// openKeys reads the folder; what was seen from there is read by lock.
func openKeys(dir string) (*keysFolder, error) {
	if dir == "" {
		return nil, fmt.Errorf("%w: make a fleet and its keys with: skerry fleet init oci://HOST/REPOSITORY", ErrNoKeys)
	}
	k := &keysFolder{dir: dir}
	var err error
	if k.root, err = os.ReadFile(k.file(keysRoot)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w, and %s holds no keys of a fleet: make a fleet with: skerry fleet init oci://HOST/REPOSITORY, or copy the folder of its keys here", ErrNoKeys, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read the keys folder: %w", err)
	}
	if _, err := trust.Fingerprint(k.root); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; take the folder from its backup", k.file(keysRoot), err)
	}
	if err := k.readJSON(keysNote, &k.note); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return k, nil
}

func (k *keysFolder) file(name string) string { return filepath.Join(k.dir, name) }

func (k *keysFolder) readJSON(name string, into any) error {
	data, err := os.ReadFile(k.file(name))
	if err != nil {
		return fmt.Errorf("read the keys folder: %w", err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s is damaged: %w; take the folder from its backup", k.file(name), err)
	}
	return nil
}

// lock keeps other publishers of this machine away until unlock, and reads what
// was seen published: whoever holds the lock finds that or newer in the registry.
func (k *keysFolder) lock() (unlock func(), err error) {
	unlock, err = lockDir(k.dir)
	if err != nil {
		return nil, fmt.Errorf("lock the keys folder: %w", err)
	}
	k.seen = trust.State{}
	if err := k.readJSON(keysSeen, &k.seen); err != nil && !errors.Is(err, fs.ErrNotExist) {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// remember keeps what was seen published, so that an older one is noticed.
func (k *keysFolder) remember(seen trust.State) error {
	k.seen = seen
	return errors.Join(k.write(keysSeen, seen), k.writeNote())
}

func (k *keysFolder) writeNote() error { return k.write(keysNote, k.note) }

func (k *keysFolder) write(name string, value any) error {
	data, err := json.Marshal(value)
	if err == nil {
		err = replaceFile(k.file(name), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("note in the keys folder what is published: %w", err)
	}
	return nil
}

// freeName is the name of a new key in the place of one, other than taken ones:
// release-2 after release.
func (k *keysFolder) freeName(name string, taken []string) string {
	if i := strings.LastIndexByte(name, '-'); i > 0 && isNumber(name[i+1:]) {
		name = name[:i]
	}
	for n := 1; ; n++ {
		free := numbered(name, n)
		if _, err := os.Stat(k.file(free + ".pem")); errors.Is(err, fs.ErrNotExist) && !slices.Contains(taken, free) {
			return free
		}
	}
}

// readOnly tells of a folder that is only lent, as to a CI job.
func readOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}
