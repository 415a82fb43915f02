package fleetsync_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// with are the files with some changed.
func (f papers) with(name string, data []byte) papers {
	out := maps.Clone(f)
	out[name] = data
	return out
}

// newest is the last version of a role's file, and the file.
func (f papers) newest(role string) (version int64, data []byte) {
	for n := int64(1); n < 100; n++ {
		if d, ok := f[numbered(n, role)]; ok {
			version, data = n, d
		}
	}
	return version, data
}

func numbered(version int64, role string) string { return fmt.Sprintf("%d.%s.json", version, role) }

type object = map[string]any

// forge changes what a file says and signs it with keys of the folder, as a thief.
func (s *siege) forge(file []byte, change func(signed object), keys ...string) []byte {
	s.t.Helper()
	var m object
	d := json.NewDecoder(bytes.NewReader(file))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		s.t.Fatal(err)
	}
	signed := m["signed"].(object)
	change(signed)
	payload, err := cjson.EncodeCanonical(signed)
	if err != nil {
		s.t.Fatal(err)
	}
	signatures := []any{}
	for _, name := range keys {
		id, key := s.stolen(name)
		signatures = append(signatures, object{"keyid": id, "sig": hex.EncodeToString(ed25519.Sign(key, payload))})
	}
	data, err := json.Marshal(object{"signed": signed, "signatures": signatures})
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

// stolen is a private key of the folder, and its name in signatures.
func (s *siege) stolen(name string) (id string, key ed25519.PrivateKey) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.keys[s.ref], name+".pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	secret, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		s.t.Fatal(err)
	}
	key = secret.(ed25519.PrivateKey)
	public := hex.EncodeToString(key.Public().(ed25519.PublicKey))
	type root struct {
		Signed struct {
			Keys map[string]struct{ Keyval struct{ Public string } }
		}
	}
	for file, data := range s.next {
		var r root
		if json.Unmarshal(data, &r) != nil || !strings.HasSuffix(file, ".json") {
			continue
		}
		for id, k := range r.Signed.Keys {
			if k.Keyval.Public == public {
				return id, key
			}
		}
	}
	s.t.Fatalf("no root has the key %s", name)
	return "", nil
}

// entry lists a file in another one.
func entry(version int64, file []byte) object {
	sum := sha256.Sum256(file)
	return object{"version": version, "length": len(file), "hashes": object{"sha256": hex.EncodeToString(sum[:])}}
}

// relist are the files with another one of a role, listed and signed by whoever stole
// the rollout key.
func (s *siege) relist(files papers, role string, version int64, file []byte) papers {
	s.t.Helper()
	n, snapshot := files.newest("snapshot")
	snapshot = s.forge(snapshot, func(signed object) {
		signed["meta"].(object)[role+".json"] = entry(version, file)
	}, "rollout")
	return files.with(numbered(version, role), file).with(numbered(n, "snapshot"), snapshot).
		with("timestamp.json", s.forge(files["timestamp.json"], func(signed object) {
			signed["meta"].(object)["snapshot.json"] = entry(n, snapshot)
		}, "rollout"))
}

// resign are the files with what somebody makes of a role's newest, signed with a key.
func (s *siege) resign(files papers, role, key string, change func(signed object)) papers {
	s.t.Helper()
	n, file := files.newest(role)
	return s.relist(files, role, n, s.forge(file, change, key))
}

// document are the files with another document, which its rightful key signed.
func (s *siege) document(files papers, role, key, name string, data []byte) papers {
	s.t.Helper()
	return s.resign(files, role, key, func(signed object) {
		signed["targets"].(object)[name] = object{"length": len(data), "hashes": entry(1, data)["hashes"]}
	}).with(name, data)
}
