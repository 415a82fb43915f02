package fleetsync_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/sync/trust"
)

// siege is a fleet in a docker-registry that somebody else writes to as well, and on
// whose line he sits. It has a threshold of two root keys and a rollout key of its
// own, and three publications, the first without apps: a device accepted the second.
type siege struct {
	*bench
	proxy             *proxy
	registry          *testbed.Registry
	addr, tag         string // of the registry itself
	p                 *fleetsync.Puller
	now               time.Time // by the device's clock; zero: it is right
	first, live, next papers
	honest            bool // what is attacked is not the signatures
}

// papers are a publication's files by name.
type papers map[string][]byte

const besieged = "overheat@1.1.0" // what the device runs

var sieges atomic.Int64

func newSiege(t *testing.T, reg *testbed.Registry, front *proxy) *siege {
	t.Helper()
	s := &siege{proxy: front, registry: reg, addr: reg.Addr(), tag: fmt.Sprintf("siege-%d", sieges.Add(1))}
	s.bench = newBench(t, front.ref("acme/fleet")+":"+s.tag)
	keys := filepath.Join(t.TempDir(), "keys")
	made, err := fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: fleetsync.Access{Ref: s.ref, Keys: keys}, RootKeys: 2, Threshold: 2})
	if err != nil {
		t.Fatal(err)
	}
	s.keys[s.ref], s.roots[keys] = keys, made.Root
	s.rotate(trust.RoleFleet, fleetsync.RotateOptions{Split: true})
	s.first = s.published()
	s.live = s.release("1.1.0", 2)
	s.p = s.device()
	check(t, s.p)
	s.run.want(t, besieged)
	s.next = s.release("1.2.0", 3)
	return s
}

// in is the same siege for another test, of a device as it was at its beginning. Who
// publishes or changes keys takes a siege of his own.
func (s *siege) in(t *testing.T) *siege {
	t.Helper()
	b := *s.bench
	b.t, b.cache, b.run, b.log = t, s.cache.clone(), &runner{}, &bytes.Buffer{}
	other := *s
	other.bench = &b
	other.p = other.device()
	restore(t, other.p)
	other.run.want(t, besieged)
	return &other
}

// device is the gateway after a start.
func (s *siege) device() *fleetsync.Puller {
	return s.pullerOptions(s.ref, device(), fleetsync.PullerOptions{Now: func() time.Time {
		if s.now.IsZero() {
			return time.Now()
		}
		return s.now
	}})
}

func (s *siege) rotate(role trust.Role, opts fleetsync.RotateOptions) {
	s.t.Helper()
	s.edit(func(r *fleetsync.FleetRepo) (*fleetsync.Plan, error) { return r.Rotate(role, opts) })
}

func (s *siege) release(version string, seed uint64) papers {
	s.t.Helper()
	s.publish(s.app("overheat", version, seed, 60_000), "")
	return s.published()
}

// request asks the registry itself, which must answer so.
func (s *siege) request(method, path string, body []byte, want int) []byte {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.addr+"/v2/acme/fleet/"+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header = http.Header{"Accept": {ocispec.MediaTypeImageManifest}, "Content-Type": {ocispec.MediaTypeImageManifest}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		s.t.Fatalf("%s %s: %s, %v\n%s", method, path, resp.Status, err, data)
	}
	return data
}

// published are the files that the tag points at.
func (s *siege) published() papers {
	s.t.Helper()
	var m ocispec.Manifest
	if err := json.Unmarshal(s.request(http.MethodGet, "manifests/"+s.tag, nil, http.StatusOK), &m); err != nil {
		s.t.Fatal(err)
	}
	out := papers{}
	for _, l := range m.Layers {
		data := l.Data
		if len(data) == 0 {
			data = s.request(http.MethodGet, "blobs/"+l.Digest.String(), nil, http.StatusOK)
		}
		out[l.Annotations[ocispec.AnnotationTitle]] = data
	}
	return out
}

// put has the tag point at other files, whose digests are right.
func (s *siege) put(files papers) {
	s.t.Helper()
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: "application/vnd.skerry.fleet.v2", Config: ocispec.DescriptorEmptyJSON}
	m.SchemaVersion = 2
	for _, name := range slices.Sorted(maps.Keys(files)) {
		data := files[name]
		l := ocispec.Descriptor{
			MediaType: "application/json", Digest: ocispec.DescriptorEmptyJSON.Digest, Size: int64(len(data)), Data: data,
			Annotations: map[string]string{ocispec.AnnotationTitle: name},
		}
		l.Digest = ocispec.DescriptorEmptyJSON.Digest.Algorithm().FromBytes(data)
		if pushBlob(s.t, s.addr, data); len(data) > 16<<10 {
			l.Data = nil
		}
		m.Layers = append(m.Layers, l)
	}
	data, err := json.Marshal(m)
	if err != nil {
		s.t.Fatal(err)
	}
	s.request(http.MethodPut, "manifests/"+s.tag, data, http.StatusCreated)
}

// refused holds that two rounds, a start and a round after it end with why and with
// these words in Status, and change nothing: neither what runs nor what is trusted.
func (s *siege) refused(why error, words ...string) {
	s.t.Helper()
	if s.honest {
		_ = s.p.Check(s.t.Context()) // what is signed is the fleet's own, and accepted as such
	}
	pin, _ := s.cache.Pinned("trust")
	times := s.run.times
	again := s.device()
	for round, p := range []*fleetsync.Puller{s.p, s.p, again} {
		if p == again {
			restore(s.t, again)
			times = s.run.times
		}
		err := p.Check(s.t.Context())
		if why != nil && !errors.Is(err, why) {
			s.t.Errorf("round %d: %v, want: %v", round, err, why)
		}
		wantErr(s.t, errors.New(p.Status().Error), words...)
		s.run.want(s.t, besieged)
		if s.run.times != times {
			s.t.Errorf("round %d applied something", round)
		}
	}
	if now, _ := s.cache.Pinned("trust"); !bytes.Equal(now, pin) {
		s.t.Error("what is trusted has changed")
	}
	s.t.Logf("told: %s", s.p.Status().Error)
}

// heals holds that the next honest round is all it takes.
func (s *siege) heals(files papers) {
	s.t.Helper()
	s.put(files)
	check(s.t, s.p)
	s.run.want(s.t, "overheat@1.2.0")
	wantFine(s.t, s.p)
	if !s.p.Status().Verified {
		s.t.Errorf("status %+v", s.p.Status())
	}
}
