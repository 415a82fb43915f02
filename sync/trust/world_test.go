package trust_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/skerry-edge/skerry/sync/trust"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// carrier is a repository's files; whoever holds it may change them.
type carrier map[string][]byte

func (c carrier) File(_ context.Context, name string, _ int64) ([]byte, error) {
	data, ok := c[name]
	if !ok {
		return nil, trust.ErrAbsent
	}
	return data, nil
}

// fleet is a publisher with its keys folder.
type fleet struct {
	testing.TB
	keys    string
	repo    *trust.Repository
	factory []byte
	now     time.Time
}

// newFleet publishes a first set. A third key, rollout, signs who gets what if
// asked for.
func newFleet(t testing.TB, rollout bool) *fleet {
	f := &fleet{TB: t, keys: filepath.Join(t.TempDir(), "keys"), now: start}
	opts := trust.NewOptions{}
	f.newKey("root")
	f.newKey("release")
	if rollout {
		f.newKey("rollout")
		opts.Rollout.Keys = []string{"rollout"}
	}
	repo, err := trust.New(f.ring(), opts)
	f.must(err)
	f.repo = repo
	f.put("fleet.json", `{"revision":1}`)
	f.put("apps/overheat/1.0.0.json", `{"app":"overheat"}`)
	f.factory = f.publish()["1.root.json"]
	return f
}

func (f *fleet) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fleet) newKey(name string) {
	f.Helper()
	_, err := trust.CreateKey(f.keys, name, nil)
	f.must(err)
}

func (f *fleet) ring() *trust.Keyring {
	f.Helper()
	ring, err := trust.OpenKeyring(f.keys, nil)
	f.must(err)
	return ring
}

func (f *fleet) put(name, text string) {
	f.Helper()
	f.must(f.repo.Put(name, []byte(text)))
}

// publish signs what changed, an hour after the last time.
func (f *fleet) publish() carrier {
	f.Helper()
	f.now = f.now.Add(time.Hour)
	f.must(f.repo.Sign(f.ring(), f.now))
	return f.repo.Files()
}

// release publishes another version and revision.
func (f *fleet) release(n int) carrier {
	f.Helper()
	f.put(fmt.Sprintf("apps/overheat/1.%d.0.json", n), fmt.Sprintf(`{"n":%d}`, n))
	f.put("fleet.json", fmt.Sprintf(`{"revision":%d}`, n+1))
	return f.publish()
}

// replace makes a key and hands it all roles that the old one had.
func (f *fleet) replace(old, key string) {
	f.Helper()
	f.newKey(key)
	for _, role := range trust.Roles {
		s := f.repo.Signers(role)
		for i, name := range s.Keys {
			if name == old {
				s.Keys[i] = key
				f.must(f.repo.Rotate(f.ring(), s, role))
			}
		}
	}
}

// accept is a device that must be content with files.
func (f *fleet) accept(kept trust.State, files trust.Files) *trust.Verified {
	f.Helper()
	v, err := trust.Verify(context.Background(), f.factory, kept, files, f.now)
	f.must(err)
	return v
}

// secret is a key as a thief has it.
func (f *fleet) secret(name string) ed25519.PrivateKey {
	f.Helper()
	data, err := os.ReadFile(filepath.Join(f.keys, name+".pem"))
	f.must(err)
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	f.must(err)
	return key.(ed25519.PrivateKey)
}

type object = map[string]any

// forge changes what a file says and signs it with keys.
func (f *fleet) forge(file []byte, change func(signed object), keys ...string) []byte {
	f.Helper()
	var m object
	d := json.NewDecoder(strings.NewReader(string(file)))
	d.UseNumber()
	f.must(d.Decode(&m))
	signed := m["signed"].(object)
	change(signed)
	data, ok := f.seal(signed, keys...)
	if !ok {
		f.Fatal("this cannot be signed")
	}
	return data
}

// seal signs what a file says; not ok if canonical JSON cannot say it.
func (f *fleet) seal(signed object, keys ...string) ([]byte, bool) {
	f.Helper()
	payload, err := cjson.EncodeCanonical(signed)
	if err != nil {
		return nil, false
	}
	signatures := []any{}
	for _, name := range keys {
		secret := f.secret(name)
		public, err := metadata.KeyFromPublicKey(secret.Public())
		f.must(err)
		id, err := public.ID()
		f.must(err)
		signatures = append(signatures, object{"keyid": id, "sig": hex.EncodeToString(ed25519.Sign(secret, payload))})
	}
	data, err := json.Marshal(object{"signed": signed, "signatures": signatures})
	f.must(err)
	return data, true
}

// entry lists a file in another one.
func entry(version int64, file []byte) object {
	sum := sha256.Sum256(file)
	return object{"version": version, "length": len(file), "hashes": object{"sha256": hex.EncodeToString(sum[:])}}
}

// with is c with one file changed.
func (c carrier) with(name string, data []byte) carrier {
	changed := maps.Clone(c)
	changed[name] = data
	return changed
}

var reasons = []error{
	trust.ErrAbsent, trust.ErrRollback, trust.ErrExpired, trust.ErrUnsigned,
	trust.ErrTampered, trust.ErrMixed, trust.ErrTooLarge, trust.ErrInvalid,
}

// refused holds an error to one reason, and to naming the file.
func refused(t testing.TB, err, want error, file string) {
	t.Helper()
	for _, reason := range reasons {
		if errors.Is(err, reason) != (reason == want) {
			t.Errorf("error %q: is %q: %v, want only %q", err, reason, reason != want, want)
		}
	}
	if err != nil && !strings.Contains(err.Error(), file) {
		t.Errorf("error %q does not name %s", err, file)
	}
}
