package fleetsync_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// A reference that was mistyped does not keep its folder.
func TestInitFleetAfterAMistake(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	taken := b.access().Ref
	access := fleetsync.Access{Ref: taken, Keys: filepath.Join(t.TempDir(), "keys")}
	_, err := fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: access})
	wantErr(t, err, "holds a fleet already")
	access.Ref += "-two"
	if _, err := fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: access}); err != nil {
		t.Error(err)
	}
}

// Whoever may write to the registry cannot have a rollback sign what he put there.
func TestHistoryIsSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plant")
	b := newBench(t, "oci-layout:"+dir)
	r := rollout(b)
	stranger := fleetsync.Access{Ref: b.ref + ":stranger", Keys: filepath.Join(t.TempDir(), "keys")}
	if _, err := fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: stranger, Name: "plant"}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ from, want string }{
		{"latest-p1", "its tag names publication 1: somebody moved it"},
		{"stranger", "it is not signed by enough of this fleet's keys"},
	} {
		moveTag(t, dir, tc.from, "latest-p3")
		_, err := r.History(t.Context(), 10)
		wantErr(t, err, "read publication 3: ", tc.want)
	}
}

// moveTag has a tag of a layout point where another one does.
func moveTag(t *testing.T, dir, from, tag string) {
	t.Helper()
	file := filepath.Join(dir, "index.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	place := map[string]*ocispec.Descriptor{}
	for i := range index.Manifests {
		place[index.Manifests[i].Annotations[ocispec.AnnotationRefName]] = &index.Manifests[i]
	}
	place[tag].Digest, place[tag].Size = place[from].Digest, place[from].Size
	data, err = json.Marshal(index)
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A publisher elsewhere looked before this one moved the tag, and moves it a moment
// later: this one must not say that it published.
func TestPublisherNoticesWhoOverwroteIt(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	direct := "http://" + reg.Addr() + "/v2/acme/fleet/manifests/latest"
	theirs := get(t, direct)
	access := b.access()
	via := newProxy(t, reg.Addr())
	meddle := func(resp *http.Response) error {
		if resp.Request.Method == http.MethodPut && strings.HasSuffix(resp.Request.URL.Path, "/manifests/latest") {
			time.AfterFunc(150*time.Millisecond, func() { put(direct, theirs) })
			<-time.After(100 * time.Millisecond)
		}
		return nil
	}
	via.meddle.Store(&meddle)
	access.Ref = via.ref("acme/fleet")
	_, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: access, AppFile: b.app("chiller", "1.0.0", 2, 5000)})
	if !errors.Is(err, fleetsync.ErrMoved) {
		t.Errorf("a publish that was overwritten: %v", err)
	}
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", ocispec.MediaTypeImageManifest)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return data
}

// put may come too late for its test, which fails then for what it did not see.
func put(url string, manifest []byte) {
	req, err := http.NewRequest(http.MethodPut, url, bytes.NewReader(manifest))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", ocispec.MediaTypeImageManifest)
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
	}
}

func TestRevisionsEnd(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	app := b.app("overheat", "1.0.0", 1, 5000)
	b.publish(app, b.write("fleet.yaml", "apiVersion: skerry/v1\nkind: Fleet\nmetadata: {name: plant, revision: 9007199254740992}\nassignments: [{app: overheat, version: 1.0.0}]\n"))
	_, err := b.open().Edit(func(f *fleetsync.Fleet) error { f.Paused = true; return nil })
	wantErr(t, err, "the fleet is at revision 9007199254740992 and none comes after it: begin another fleet")
}

// The folder of another fleet, or of something else, is not written over.
func TestExportKeepsWhatIsAnothers(t *testing.T) {
	theirs := newBench(t, "oci-layout:"+t.TempDir()+"/theirs")
	theirs.publish(theirs.app("chiller", "1.0.0", 2, 5000), "")
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	dir := filepath.Join(t.TempDir(), "stick")
	if err := theirs.open().Export(t.Context(), dir, nil); err != nil {
		t.Fatal(err)
	}
	wantErr(t, b.open().Export(t.Context(), dir, nil), dir+" holds something else than this fleet: name an empty directory, or a new one")
	if err := theirs.open().Export(t.Context(), dir, nil); err != nil {
		t.Error(err)
	}
}
