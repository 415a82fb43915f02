package trust

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Key is the public side of a key file.
type Key struct {
	Name      string // "release" for release.pem
	ID        string // as TUF names it: 64 hex digits
	File      string // path of the file
	Encrypted bool   // a passphrase is asked for when it signs
}

// Keyring is a folder of private keys, one file "<name>.pem" (mode 0600) each, in
// a folder of mode 0700. Other files in it are left alone.
type Keyring struct {
	dir        string
	passphrase func(file string) ([]byte, error)
	keys       []*privateKey // by name
}

type privateKey struct {
	Key
	public  ed25519.PublicKey
	sealed  []byte             // encrypted PKCS #8
	private ed25519.PrivateKey // nil until it is needed, if sealed
}

// Types of the PEM blocks. A sealed one gives its public key in a header, so that
// a passphrase is asked for only when the key is needed.
const (
	plainBlock   = "PRIVATE KEY" // PKCS #8
	sealedBlock  = "ENCRYPTED SKERRY PRIVATE KEY"
	publicHeader = "Public-Key"
)

var keyName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// CreateKey makes an ed25519 key and writes it to dir/<name>.pem; dir is made if
// need be. An existing file is never overwritten: the error wraps fs.ErrExist.
// With a passphrase the file holds the key encrypted (scrypt, NaCl secretbox).
func CreateKey(dir, name string, passphrase []byte) (Key, error) {
	if !keyName.MatchString(name) {
		return Key{}, fmt.Errorf("key name %q: use small letters, digits and dashes", name)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Key{}, fmt.Errorf("make the keys folder: %w", err)
	}
	if err := private(dir); err != nil {
		return Key{}, err
	}
	public, secret, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("make key %s: %w", name, err)
	}
	block, err := encodeKey(public, secret, passphrase)
	if err != nil {
		return Key{}, fmt.Errorf("encode key %s: %w", name, err)
	}
	file := filepath.Join(dir, name+".pem")
	if err := writeOnce(file, pem.EncodeToMemory(block)); err != nil {
		return Key{}, fmt.Errorf("write key %s: %w", name, err)
	}
	k, err := readKey(file)
	if err != nil {
		return Key{}, err
	}
	return k.Key, nil
}

func encodeKey(public ed25519.PublicKey, secret ed25519.PrivateKey, passphrase []byte) (*pem.Block, error) {
	der, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		return nil, err
	}
	if len(passphrase) == 0 {
		return &pem.Block{Type: plainBlock, Bytes: der}, nil
	}
	sealed, err := encrypted.Encrypt(der, passphrase)
	if err != nil {
		return nil, err
	}
	headers := map[string]string{publicHeader: hex.EncodeToString(public)}
	return &pem.Block{Type: sealedBlock, Headers: headers, Bytes: sealed}, nil
}

// writeOnce makes a file of mode 0600 that appears whole or not at all, and only
// where there is none.
func writeOnce(file string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), file); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// private refuses what others than its owner may read or change.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		want := "600"
		if info.IsDir() {
			want = "700"
		}
		return fmt.Errorf("%s is open to others (mode %04o), and private keys must not be: run chmod %s %s", path, mode, want, path)
	}
	return nil
}

// OpenKeyring lists the keys of dir. It refuses a folder or file that others may
// read. passphrase is asked when an encrypted key is first used, with the path of
// its file; nil if nobody can be asked.
func OpenKeyring(dir string, passphrase func(file string) ([]byte, error)) (*Keyring, error) {
	if err := private(dir); err != nil {
		return nil, fmt.Errorf("keys folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("keys folder: %w", err)
	}
	ring := &Keyring{dir: dir, passphrase: passphrase}
	for _, e := range entries {
		name, isKey := strings.CutSuffix(e.Name(), ".pem")
		if !isKey || !keyName.MatchString(name) {
			continue
		}
		k, err := readKey(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		ring.keys = append(ring.keys, k)
	}
	return ring, nil
}

func readKey(file string) (*privateKey, error) {
	if err := private(file); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	k := &privateKey{Key: Key{Name: strings.TrimSuffix(filepath.Base(file), ".pem"), File: file}}
	switch block, _ := pem.Decode(data); {
	case block == nil:
		return nil, fmt.Errorf("%s holds no key in PEM form: take it out of the keys folder", file)
	case block.Type == plainBlock:
		if k.private, err = decodeKey(block.Bytes); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		k.public = k.private.Public().(ed25519.PublicKey)
	case block.Type == sealedBlock:
		k.Encrypted, k.sealed = true, block.Bytes
		k.public, err = hex.DecodeString(block.Headers[publicHeader])
		if err != nil || len(k.public) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("%s: its header %s is damaged", file, publicHeader)
		}
	default:
		return nil, fmt.Errorf("%s holds no private key but a %s: take it out of the keys folder", file, block.Type)
	}
	public, err := metadata.KeyFromPublicKey(k.public)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	k.ID, err = public.ID()
	return k, err
}

func decodeKey(der []byte) (ed25519.PrivateKey, error) {
	secret, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	key, ok := secret.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it holds a %T, and fleets are signed with ed25519", secret)
	}
	return key, nil
}

// named and byID return nil if there is no such key.
func (k *Keyring) named(name string) *privateKey {
	return k.find(func(key *privateKey) bool { return key.Name == name })
}

func (k *Keyring) byID(id string) *privateKey {
	return k.find(func(key *privateKey) bool { return key.ID == id })
}

func (k *Keyring) find(is func(*privateKey) bool) *privateKey {
	if i := slices.IndexFunc(k.keys, is); i >= 0 {
		return k.keys[i]
	}
	return nil
}

// sign asks for the passphrase the first time it is needed.
func (k *Keyring) sign(key *privateKey, payload []byte) ([]byte, error) {
	if key.private == nil {
		if err := k.unseal(key); err != nil {
			return nil, err
		}
	}
	return ed25519.Sign(key.private, payload), nil
}

func (k *Keyring) unseal(key *privateKey) error {
	if k.passphrase == nil {
		return fmt.Errorf("%s is encrypted and there is nobody to ask for its passphrase", key.File)
	}
	passphrase, err := k.passphrase(key.File)
	if err != nil {
		return fmt.Errorf("passphrase of %s: %w", key.File, err)
	}
	der, err := encrypted.Decrypt(key.sealed, passphrase)
	if err != nil {
		return fmt.Errorf("%s does not open with this passphrase", key.File)
	}
	secret, err := decodeKey(der)
	if err != nil {
		return fmt.Errorf("%s: %w", key.File, err)
	}
	if !key.public.Equal(secret.Public()) {
		return fmt.Errorf("%s: its header %s names another key", key.File, publicHeader)
	}
	key.private = secret
	return nil
}
