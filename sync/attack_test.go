package fleetsync_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/sync/trust"
)

type assault struct {
	name  string
	why   error // nil: words say it
	words []string
	do    func(s *siege)
}

// evil is a document of an app that nobody published.
var evil = []byte(`{"apiVersion":"skerry/v1","kind":"App","metadata":{"name":"evil","version":"1.0.0"}}`)

const appName = "apps/overheat/1.2.0.json"

// replays need no key: what was signed before is served again, late, or mixed.
var replays = []assault{
	{"rollback", trust.ErrRollback, []string{"timestamp.json", "the folder of keys that published last"}, func(s *siege) { s.put(s.first) }},
	{"freeze", trust.ErrExpired, []string{"publish again, which renews them"}, func(s *siege) {
		s.put(s.live)
		s.now = time.Now().Add(400 * 24 * time.Hour)
	}},
	{"mix-and-match: an older snapshot", trust.ErrMixed, []string{"snapshot.json"}, func(s *siege) {
		n, _ := s.next.newest("snapshot")
		_, old := s.live.newest("snapshot")
		s.put(s.next.with(numbered(n, "snapshot"), old))
	}},
	{"mix-and-match: the new timestamp over old files", trust.ErrMixed, []string{"snapshot.json"}, func(s *siege) {
		s.put(s.live.with("timestamp.json", s.next["timestamp.json"]))
	}},
	{"the clock at 1970: rollback", trust.ErrRollback, []string{"timestamp.json"}, func(s *siege) {
		s.now = time.Unix(0, 0)
		s.put(s.first)
	}},
	{"the clock at 2035", trust.ErrExpired, []string{"this device's clock is right"}, func(s *siege) {
		s.now, s.honest = time.Date(2035, 1, 1, 0, 0, 0, 0, time.UTC), true
		s.put(s.next)
	}},
}

// forgeries change what is signed, by nobody or with keys that must not do it.
var forgeries = []assault{
	{"tampered document", trust.ErrTampered, []string{appName, "see who may write to that registry"}, func(s *siege) {
		s.honest = true
		s.put(s.next.with(appName, bytes.ReplaceAll(s.next[appName], []byte("central/notify"), []byte("central/attack"))))
	}},
	{"tampered signatures", trust.ErrTampered, []string{"targets.json"}, func(s *siege) {
		n, file := s.next.newest("targets")
		s.put(s.next.with(numbered(n, "targets"), bytes.ReplaceAll(file, []byte("overheat"), []byte("0verheat"))))
	}},
	{"one root key of two", trust.ErrUnsigned, []string{"root.json"}, func(s *siege) {
		n, root := s.next.newest("root")
		s.put(s.next.with(numbered(n+1, "root"), s.forge(root, func(signed object) { signed["version"] = n + 1 }, "root")))
	}},
	{"the same root key twice", trust.ErrInvalid, []string{"root.json"}, func(s *siege) {
		n, root := s.next.newest("root")
		s.put(s.next.with(numbered(n+1, "root"), s.forge(root, func(signed object) { signed["version"] = n + 1 }, "root", "root")))
	}},
	{"a stolen rollout key adds an app", trust.ErrUnsigned, []string{"apps/evil/1.0.0.json"}, func(s *siege) {
		s.put(s.document(s.next, "fleet", "rollout", "apps/evil/1.0.0.json", evil))
	}},
	{"a stolen rollout key signs apps", trust.ErrUnsigned, []string{"targets.json"}, func(s *siege) {
		s.put(s.document(s.next, "targets", "rollout", "apps/evil/1.0.0.json", evil))
	}},
	{"a name that leaves the repository", trust.ErrInvalid, []string{"targets.json", "../../etc/cron.d/x.json"}, func(s *siege) {
		s.put(s.document(s.next, "targets", "release", "apps/../../etc/cron.d/x.json", evil))
	}},
	{"endless timestamp", trust.ErrTooLarge, []string{"timestamp.json"}, func(s *siege) {
		s.put(s.next.with("timestamp.json", append(bytes.Repeat([]byte(" "), 20<<10), s.next["timestamp.json"]...)))
	}},
	{"endless signatures", trust.ErrTooLarge, []string{"snapshot.json", "1048576 are allowed"}, func(s *siege) {
		n, _ := s.next.newest("snapshot")
		s.put(s.next.with(numbered(n, "snapshot"), bytes.Repeat([]byte(" "), 2<<20)))
	}},
}

// onTheLine are attacks of whoever sits on it, or of the registry's software.
var onTheLine = []assault{
	{"tampered blob", fleetsync.ErrDamaged, []string{"module of overheat/f", "sha256:"}, func(s *siege) {
		s.honest = true
		s.put(s.next)
		s.meddle(func(resp *http.Response) {
			if strings.HasSuffix(resp.Request.URL.Path, string(digestOf(module(3, 60_000)))) {
				data, _ := io.ReadAll(resp.Body) // whatever came of it
				data[len(data)/2] ^= 1
				resp.Body = io.NopCloser(bytes.NewReader(data))
			}
		})
	}},
	{"endless data", trust.ErrTooLarge, []string{"the manifest", "more than 4194304 bytes"}, func(s *siege) {
		s.put(s.next)
		s.meddle(func(resp *http.Response) {
			if strings.Contains(resp.Request.URL.Path, "/manifests/") {
				resp.ContentLength = -1
				resp.Header.Del("Content-Length")
				resp.Body = io.NopCloser(endless{})
			}
		})
	}},
	{"a registry that answers 403 for 404", nil, []string{"403 Forbidden", "check the reference", "docker login"}, func(s *siege) {
		s.meddle(func(resp *http.Response) { resp.StatusCode, resp.Status = http.StatusForbidden, "403 Forbidden" })
	}},
	{"403 for a module that is not there", nil, []string{"module of overheat/f", "403 Forbidden"}, func(s *siege) {
		s.honest = true
		s.put(s.next)
		s.meddle(func(resp *http.Response) {
			if strings.Contains(resp.Request.URL.Path, "/blobs/") {
				resp.StatusCode, resp.Status = http.StatusForbidden, "403 Forbidden"
			}
		})
	}},
}

// endless is a body that does not end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// meddle has f change the answers to the device.
func (s *siege) meddle(f func(*http.Response)) {
	change := func(resp *http.Response) error {
		f(resp)
		return nil
	}
	s.proxy.meddle.Store(&change)
}

// TestAttacks: each is told by its name, leaves what runs and what is trusted as they
// are, and is over with the next honest round.
func TestAttacks(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	front := newProxy(t, reg.Addr())
	base, other := newSiege(t, reg, front), newSiege(t, reg, front)
	theirs := other.next
	strangers := []assault{
		{"another fleet's documents", trust.ErrUnsigned, []string{"another fleet", "compare the fingerprint of registry.root"}, func(s *siege) { s.put(theirs) }},
		{"another fleet's timestamp", trust.ErrUnsigned, []string{"timestamp.json"}, func(s *siege) {
			s.put(s.next.with("timestamp.json", theirs["timestamp.json"]))
		}},
	}
	for _, a := range slices.Concat(replays, forgeries, onTheLine, strangers) {
		t.Run(a.name, func(t *testing.T) {
			s := base.in(t)
			a.do(s)
			s.refused(a.why, a.words...)
			s.now = time.Time{}
			front.meddle.Store(nil)
			s.heals(s.next)
		})
	}
	t.Run("the clock at 1970", func(t *testing.T) { base.in(t).at1970() })
	t.Run("zip bomb", func(t *testing.T) { base.in(t).bombed() })
	t.Run("a revoked key", func(t *testing.T) { other.in(t).withOldKey() })
	t.Run("fast-forward", func(t *testing.T) { base.in(t).fastForward() })
}

// withOldKey: a key that was changed signs nothing any more.
func (s *siege) withOldKey() {
	s.put(s.next)
	s.rotate(trust.RoleTargets, fleetsync.RotateOptions{})
	s.next = s.published()
	s.put(s.document(s.next, "targets", "release", "apps/evil/1.0.0.json", evil))
	s.refused(trust.ErrUnsigned, "targets.json")
	s.heals(s.next)
}

// A thief of the rollout key decides what runs where, of what is published, until the
// key is changed; what he wrote wrongly is told and left out.
func TestStolenRolloutKeyAssignsNonsense(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	front := newProxy(t, reg.Addr())
	for words, assignment := range map[string]string{
		"evil@1.0.0, which is not published": `{"app":"evil","version":"1.0.0"}`,
		"assignments":                        `{"app":"../../etc/cron.d","version":"1.0.0"}`,
	} {
		s := newSiege(t, reg, front)
		fleet := bytes.Replace(s.next["fleet.json"], []byte(`"assignments":[`), []byte(`"assignments":[`+assignment+`,`), 1)
		if bytes.Equal(fleet, s.next["fleet.json"]) {
			t.Fatalf("no assignments in %s", fleet)
		}
		s.put(s.document(s.next, "fleet", "rollout", "fleet.json", fleet))
		s.honest = true
		s.refused(nil, words)
		s.rotate(trust.RoleFleet, fleetsync.RotateOptions{}) // what the thief published is taken over, and mended
		s.publish("", s.fleet("[{app: overheat, version: 1.2.0}]"))
		s.heals(s.published())
	}
}

// fastForward: a thief of the rollout key counts versions up, so that all that is
// honest looks older; new keys end that.
func (s *siege) fastForward() {
	const far int64 = 1 << 52
	_, snapshot := s.live.newest("snapshot")
	snapshot = s.forge(snapshot, func(signed object) { signed["version"] = far }, "rollout")
	s.put(s.live.with(numbered(far, "snapshot"), snapshot).with("timestamp.json", s.forge(s.live["timestamp.json"], func(signed object) {
		signed["version"] = far
		signed["meta"].(object)["snapshot.json"] = entry(far, snapshot)
	}, "rollout")))
	check(s.t, s.p) // it is signed by the fleet's keys
	s.run.want(s.t, besieged)
	s.put(s.next)
	s.refused(trust.ErrRollback, "timestamp.json")
	s.rotate(trust.RoleTimestamp, fleetsync.RotateOptions{})
	s.heals(s.published())
}

// at1970: such a clock keeps no honest update out, on a device that is new either.
func (s *siege) at1970() {
	s.now = time.Unix(0, 0)
	s.heals(s.next)
	s.cache, s.run = newMemory(), &runner{}
	s.p = s.device()
	s.heals(s.next)
}

// bombed: a patch that would become 256 MiB takes no memory for them, and the module
// comes whole.
func (s *siege) bombed() {
	t := s.t
	var bomb bytes.Buffer
	enc, err := zstd.NewWriter(&bomb, zstd.WithEncoderConcurrency(1))
	if err == nil {
		_, err = io.Copy(enc, io.LimitReader(endless{}, 256<<20))
	}
	if err == nil {
		err = enc.Close()
	}
	if err != nil || bomb.Len() > 30_000 {
		t.Fatalf("a bomb of %d bytes, %v", bomb.Len(), err)
	}
	pushBlob(t, s.addr, bomb.Bytes())
	for _, from := range []agent.Digest{fleetsync.FromNothing, digestOf(module(2, 60_000))} {
		var app object
		if err := json.Unmarshal(s.next[appName], &app); err != nil {
			t.Fatal(err)
		}
		app["functions"].(object)["f"].(object)["module"].(object)["patches"] = []any{
			object{"from": string(from), "digest": string(digestOf(bomb.Bytes())), "size": bomb.Len(), "format": "zstd"},
		}
		doc, err := json.Marshal(app)
		if err != nil {
			t.Fatal(err)
		}
		s.put(s.live)
		s.cache, s.run = newMemory(), &runner{}
		s.p = s.device()
		check(t, s.p)
		s.run.want(t, besieged)
		s.log.Reset()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s.heals(s.document(s.next, "targets", "release", appName, doc))
		runtime.ReadMemStats(&after)
		if !strings.Contains(s.log.String(), "a patch is of no use, the whole module is fetched") {
			t.Errorf("the bomb was not tried:\n%s", s.log)
		}
		if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 64 {
			t.Errorf("a bomb took %d MiB", took)
		} else {
			t.Logf("from %.15s: %d MiB were allocated", from, took)
		}
	}
}
