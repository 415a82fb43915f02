package trust_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/skerry-edge/skerry/sync/trust"
)

// DownloadFile makes a carrier what go-tuf downloads from.
func (c carrier) DownloadFile(from string, _ int64, _ time.Duration) ([]byte, error) {
	u, err := url.Parse(from)
	if err != nil {
		return nil, err
	}
	data, ok := c[strings.TrimPrefix(u.Path, "/")]
	if !ok {
		return nil, &metadata.ErrDownloadHTTP{StatusCode: 404, URL: from}
	}
	return data, nil
}

// peer is go-tuf's own client, which keeps its files in dir.
func peer(t *testing.T, dir string, root []byte, files carrier, now time.Time) *updater.Updater {
	t.Helper()
	cfg, err := config.New("https://fleet.example/", root)
	if err != nil {
		t.Fatal(err)
	}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = dir, t.TempDir()
	cfg.RemoteTargetsURL, cfg.PrefixTargetsWithHash = "https://fleet.example/", false
	cfg.Fetcher = files
	u, err := updater.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	u.UnsafeSetRefTime(now)
	return u
}

// TestAnotherClientReadsUs follows three publications and all rotations with
// go-tuf's client: the repository is TUF as others know it.
func TestAnotherClientReadsUs(t *testing.T) {
	f := newFleet(t, false)
	dir := t.TempDir()
	root := f.factory
	for _, files := range []func() carrier{
		func() carrier { return f.repo.Files() },
		func() carrier { return f.release(1) },
		func() carrier { f.replace("root", "root-2"); return f.publish() },
		func() carrier {
			f.newKey("rollout")
			f.must(f.repo.Rotate(f.ring(), trust.Signers{Keys: []string{"rollout"}}, trust.RoleFleet, trust.RoleSnapshot, trust.RoleTimestamp))
			return f.release(2)
		},
	} {
		published := files()
		u := peer(t, dir, root, published, f.now)
		if err := u.Refresh(); err != nil {
			t.Fatal(err)
		}
		for name, want := range f.repo.Documents() {
			info, err := u.GetTargetInfo(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, data, err := u.DownloadTarget(info, "", ""); err != nil || !bytes.Equal(data, want) {
				t.Errorf("%s: %q, %v", name, data, err)
			}
		}
		root = f.repo.State().Root // go-tuf would put an older one over the one it keeps
	}
}

// TestAnotherClientAgrees shows every attack to go-tuf's client: what it refuses we
// refuse, which is to say that nothing of ours is weaker.
func TestAnotherClientAgrees(t *testing.T) {
	base := newWorld(t)
	for _, a := range append(replays, forgeries...) {
		t.Run(a.name, func(t *testing.T) {
			w := base.in(t)
			dir := t.TempDir()
			if err := peer(t, dir, w.factory, w.second, w.now).Refresh(); err != nil {
				t.Fatal(err)
			}
			files := a.do(w)
			theirs := attempt(func() error { return peer(t, dir, w.factory, files, w.now).Refresh() })
			_, ours := trust.Verify(context.Background(), w.factory, w.kept, files, w.now)
			if theirs != nil && ours == nil {
				t.Errorf("we accept what go-tuf refuses: %v", theirs)
			}
		})
	}
}

func attempt(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("panicked")
		}
	}()
	return f()
}

// TestWeReadAnotherPublisher verifies a repository that was made with go-tuf, in
// its own layout of JSON.
func TestWeReadAnotherPublisher(t *testing.T) {
	_, secret, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signature.LoadSigner(secret, 0)
	if err != nil {
		t.Fatal(err)
	}
	key, err := metadata.KeyFromPublicKey(secret.Public())
	if err != nil {
		t.Fatal(err)
	}
	expires := start.Add(365 * day)
	root, targets, fleet := metadata.Root(expires), metadata.Targets(expires), metadata.Targets(expires)
	for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		if err := root.Signed.AddKey(key, role); err != nil {
			t.Fatal(err)
		}
	}
	id, _ := key.ID()
	targets.Signed.Delegations = &metadata.Delegations{Keys: map[string]*metadata.Key{id: key}, Roles: []metadata.DelegatedRole{
		{Name: "fleet", KeyIDs: []string{id}, Threshold: 1, Terminating: true, Paths: []string{"fleet.json"}},
	}}
	documents := carrier{"fleet.json": []byte(`{"who": "all"}`), "apps/a/1.json": []byte(`{"what": "a"}`)}
	for name, role := range map[string]*metadata.Metadata[metadata.TargetsType]{"fleet.json": fleet, "apps/a/1.json": targets} {
		role.Signed.Targets[name], err = metadata.TargetFile().FromBytes(name, documents[name], "sha256", "sha512")
		if err != nil {
			t.Fatal(err)
		}
	}
	snapshot, timestamp := metadata.Snapshot(expires), metadata.Timestamp(expires)
	snapshot.Signed.Meta["fleet.json"] = metadata.MetaFile(1)
	files := maps.Clone(documents)
	files["1.root.json"] = sealed(t, root, signer)
	files["1.targets.json"], files["1.fleet.json"] = sealed(t, targets, signer), sealed(t, fleet, signer)
	files["1.snapshot.json"], files["timestamp.json"] = sealed(t, snapshot, signer), sealed(t, timestamp, signer)

	v, err := trust.Verify(context.Background(), files["1.root.json"], trust.State{}, files, start)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range documents {
		if data, err := v.Document(context.Background(), name); err != nil || !bytes.Equal(data, want) {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if _, err := clone(t, v.State).Check(files["1.root.json"], start); err != nil {
		t.Errorf("what is kept of it: %v", err)
	}
}

func sealed[T metadata.Roles](t *testing.T, m *metadata.Metadata[T], signer signature.Signer) []byte {
	t.Helper()
	if _, err := m.Sign(signer); err != nil {
		t.Fatal(err)
	}
	data, err := m.ToBytes(true)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
