package trust_test

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/sync/trust"
)

// world is a fleet with an own rollout key and three publications, the second of
// which a device accepted.
type world struct {
	*fleet
	first, second, third carrier
	kept                 trust.State
}

func newWorld(t testing.TB) *world {
	w := &world{fleet: newFleet(t, true)}
	w.first = w.repo.Files()
	w.second = w.release(1)
	w.kept = w.accept(trust.State{}, w.second).State
	w.third = w.release(2)
	return w
}

// in is the same world for another test.
func (w *world) in(t testing.TB) *world {
	other, publisher := *w, *w.fleet
	publisher.TB, other.fleet = t, &publisher
	return &other
}

// relist is the third publication with one of snapshot's files replaced, listed
// and signed by whoever stole the rollout key.
func (w *world) relist(role string, version int64, file []byte) carrier {
	c := w.third.with(numbered(version, role), file)
	snapshot := w.forge(w.third["3.snapshot.json"], func(s object) {
		s["meta"].(object)[role+".json"] = entry(version, file)
	}, "rollout")
	return w.resnapshot(c, 3, snapshot)
}

func (w *world) resnapshot(c carrier, version int64, snapshot []byte) carrier {
	return c.with(numbered(version, "snapshot"), snapshot).
		with("timestamp.json", w.forge(w.third["timestamp.json"], func(s object) {
			s["meta"].(object)["snapshot.json"] = entry(version, snapshot)
		}, "rollout"))
}

func numbered(version int64, role string) string {
	number, _ := json.Marshal(version)
	return string(number) + "." + role + ".json"
}

func flip(data []byte, from, to string) []byte {
	changed := bytes.Replace(data, []byte(from), []byte(to), 1)
	if bytes.Equal(changed, data) {
		panic("nothing to change: " + from)
	}
	return changed
}

func same(object) {}

type attack struct {
	name string
	want error
	file string // that the error names
	do   func(w *world) carrier
}

var replays = []attack{
	{"an older publication", trust.ErrRollback, "timestamp.json", func(w *world) carrier { return w.first }},
	{"an older timestamp of the same files", trust.ErrRollback, "timestamp.json", func(w *world) carrier {
		return w.second.with("timestamp.json", w.forge(w.second["timestamp.json"], func(s object) { s["version"] = 1 }, "rollout"))
	}},
	{"an older snapshot of the same files after the kept timestamp was lost", trust.ErrRollback, "snapshot.json", func(w *world) carrier {
		w.kept.Timestamp = nil
		return w.resnapshot(w.third, 1, w.forge(w.third["3.snapshot.json"], func(s object) { s["version"] = 1 }, "rollout"))
	}},
	{"an older snapshot", trust.ErrRollback, "timestamp.json", func(w *world) carrier {
		return w.resnapshot(w.first, 1, w.first["1.snapshot.json"])
	}},
	{"older targets", trust.ErrRollback, "3.snapshot.json", func(w *world) carrier { return w.relist("targets", 1, w.first["1.targets.json"]) }},
	{"an older fleet", trust.ErrRollback, "3.snapshot.json", func(w *world) carrier { return w.relist("fleet", 1, w.first["1.fleet.json"]) }},
	{"older targets after the kept snapshot was lost", trust.ErrRollback, "targets.json", func(w *world) carrier {
		w.kept.Snapshot = nil
		return w.relist("targets", 1, w.first["1.targets.json"])
	}},
	{"an older fleet after the kept snapshot was lost", trust.ErrRollback, "fleet.json", func(w *world) carrier {
		w.kept.Snapshot = nil
		return w.relist("fleet", 1, w.first["1.fleet.json"])
	}},
	{"an older publication after the kept timestamp was lost", trust.ErrRollback, "snapshot.json", func(w *world) carrier {
		w.kept.Timestamp = nil
		return w.first
	}},
	{"a file that is listed no more", trust.ErrRollback, "3.snapshot.json", func(w *world) carrier {
		snapshot := w.forge(w.third["3.snapshot.json"], func(s object) { delete(s["meta"].(object), "fleet.json") }, "rollout")
		return w.resnapshot(w.third, 3, snapshot)
	}},
	{"freeze", trust.ErrExpired, "timestamp.json", func(w *world) carrier {
		w.now = w.now.Add(366 * day)
		return w.second
	}},
	{"a newer publication that expired", trust.ErrExpired, "timestamp.json", func(w *world) carrier {
		w.now = w.now.Add(366 * day)
		return w.third
	}},
	{"mixed: the snapshot of another publication", trust.ErrMixed, "snapshot.json", func(w *world) carrier {
		return w.third.with("3.snapshot.json", w.second["2.snapshot.json"])
	}},
	{"mixed: the targets of another publication", trust.ErrMixed, "targets.json", func(w *world) carrier {
		return w.third.with("3.targets.json", w.second["2.targets.json"])
	}},
	{"mixed: the fleet of another publication", trust.ErrMixed, "fleet.json", func(w *world) carrier {
		return w.third.with("3.fleet.json", w.second["2.fleet.json"])
	}},
	{"mixed: the new timestamp over old files", trust.ErrMixed, "3.snapshot.json", func(w *world) carrier {
		return w.second.with("timestamp.json", w.third["timestamp.json"])
	}},
	{"a root of before as the next", trust.ErrMixed, "2.root.json", func(w *world) carrier { return w.third.with("2.root.json", w.factory) }},
}

var forgeries = []attack{
	{"tampered timestamp", trust.ErrUnsigned, "timestamp.json", func(w *world) carrier {
		return w.third.with("timestamp.json", flip(w.third["timestamp.json"], `"version":3}`, `"version":4}`))
	}},
	{"tampered snapshot", trust.ErrTampered, "3.snapshot.json", func(w *world) carrier {
		return w.third.with("3.snapshot.json", flip(w.third["3.snapshot.json"], `"version":3}`, `"version":4}`))
	}},
	{"tampered targets", trust.ErrTampered, "3.targets.json", func(w *world) carrier {
		return w.third.with("3.targets.json", flip(w.third["3.targets.json"], "overheat", "0verheat"))
	}},
	{"tampered fleet", trust.ErrTampered, "3.fleet.json", func(w *world) carrier {
		return w.third.with("3.fleet.json", flip(w.third["3.fleet.json"], `"length":14`, `"length":15`))
	}},
	{"garbled timestamp", trust.ErrInvalid, "timestamp.json", func(w *world) carrier { return w.third.with("timestamp.json", []byte("{")) }},
	{"empty timestamp", trust.ErrInvalid, "timestamp.json", func(w *world) carrier { return w.third.with("timestamp.json", nil) }},
	{"one role's file for another's", trust.ErrInvalid, "timestamp.json", func(w *world) carrier {
		return w.third.with("timestamp.json", w.third["3.snapshot.json"])
	}},
	{"garbled root", trust.ErrInvalid, "2.root.json", func(w *world) carrier { return w.third.with("2.root.json", []byte("[]")) }},
	{"a root that leaves out what it must have", trust.ErrUnsigned, "2.root.json", func(w *world) carrier {
		return w.third.with("2.root.json", []byte(`{"signed":{"_type":"root","roles":{"root":null},"keys":{"a":null}},"signatures":[]}`))
	}},
	{"a timestamp that lists null", trust.ErrInvalid, "timestamp.json", func(w *world) carrier {
		return w.third.with("timestamp.json", w.forge(w.third["timestamp.json"], func(s object) { s["meta"].(object)["snapshot.json"] = nil }, "rollout"))
	}},
	{"a null document", trust.ErrInvalid, "3.targets.json", func(w *world) carrier {
		return w.relist("targets", 3, w.forge(w.third["3.targets.json"], func(s object) { s["targets"].(object)["apps/a/1.json"] = nil }, "release"))
	}},
	{"a document of less than nothing", trust.ErrInvalid, "3.targets.json", func(w *world) carrier {
		return w.relist("targets", 3, w.forge(w.third["3.targets.json"], func(s object) {
			s["targets"].(object)["apps/a/1.json"] = object{"length": -1, "hashes": object{"sha256": "00"}}
		}, "release"))
	}},
	{"a new root by the release key", trust.ErrUnsigned, "2.root.json", func(w *world) carrier {
		return w.third.with("2.root.json", w.forge(w.factory, func(s object) { s["version"] = 2 }, "release"))
	}},
	{"a timestamp by nobody", trust.ErrUnsigned, "timestamp.json", func(w *world) carrier {
		return w.third.with("timestamp.json", w.forge(w.third["timestamp.json"], same))
	}},
	{"the same signature twice", trust.ErrInvalid, "timestamp.json", func(w *world) carrier {
		return w.third.with("timestamp.json", w.forge(w.third["timestamp.json"], same, "rollout", "rollout"))
	}},
	{"targets by the rollout key", trust.ErrUnsigned, "3.targets.json", func(w *world) carrier {
		return w.relist("targets", 3, w.forge(w.third["3.targets.json"], same, "rollout"))
	}},
	{"an app by the rollout key", trust.ErrUnsigned, "3.fleet.json", func(w *world) carrier {
		return w.relist("fleet", 3, w.forge(w.third["3.fleet.json"], func(s object) {
			s["targets"].(object)["apps/evil/1.0.0.json"] = object{"length": 2, "hashes": entry(1, []byte("{}"))["hashes"]}
		}, "rollout"))
	}},
	{"the fleet document by the release key", trust.ErrUnsigned, "3.targets.json", func(w *world) carrier {
		return w.relist("targets", 3, w.forge(w.third["3.targets.json"], func(s object) {
			s["targets"].(object)["fleet.json"] = object{"length": 2, "hashes": entry(1, []byte("{}"))["hashes"]}
		}, "release"))
	}},
	{"nobody for the fleet document", trust.ErrInvalid, "3.targets.json", func(w *world) carrier {
		return w.relist("targets", 3, w.forge(w.third["3.targets.json"], func(s object) { delete(s, "delegations") }, "release"))
	}},
	{"another fleet's documents", trust.ErrUnsigned, "keys of another fleet", func(w *world) carrier { return newFleet(w.TB, true).repo.Files() }},
	{"another fleet's timestamp", trust.ErrUnsigned, "timestamp.json", func(w *world) carrier {
		return w.third.with("timestamp.json", newFleet(w.TB, true).repo.Files()["timestamp.json"])
	}},
	{"a document of 1 GB", trust.ErrTooLarge, "apps/a/1.json", func(w *world) carrier {
		return w.relist("targets", 3, w.forge(w.third["3.targets.json"], func(s object) {
			s["targets"].(object)["apps/a/1.json"] = object{"length": 1 << 30, "hashes": object{"sha256": "00"}}
		}, "release"))
	}},
	{"nothing published", trust.ErrAbsent, "timestamp.json", func(*world) carrier { return carrier{} }},
	{"endless root", trust.ErrTooLarge, "2.root.json", func(w *world) carrier { return w.third.with("2.root.json", make([]byte, 64<<10+1)) }},
	{"endless timestamp", trust.ErrTooLarge, "timestamp.json", func(w *world) carrier { return w.third.with("timestamp.json", make([]byte, 16<<10+1)) }},
	{"endless snapshot", trust.ErrTooLarge, "3.snapshot.json", func(w *world) carrier { return w.third.with("3.snapshot.json", make([]byte, 1<<20+1)) }},
	{"endless targets", trust.ErrTooLarge, "3.targets.json", func(w *world) carrier { return w.third.with("3.targets.json", make([]byte, 1<<20+1)) }},
	{"endless fleet", trust.ErrTooLarge, "3.fleet.json", func(w *world) carrier { return w.third.with("3.fleet.json", make([]byte, 1<<20+1)) }},
}

func TestAttacks(t *testing.T) {
	base := newWorld(t)
	for _, a := range append(replays, forgeries...) {
		t.Run(a.name, func(t *testing.T) {
			w := base.in(t)
			honest := w.now
			files := a.do(w)
			before := clone(t, w.kept)
			v, err := trust.Verify(context.Background(), w.factory, w.kept, files, w.now)
			refused(t, err, a.want, a.file)
			if (v != nil) != (a.want == trust.ErrExpired) {
				t.Errorf("Verified %v with error %v", v, err)
			}
			if !reflect.DeepEqual(w.kept, before) {
				t.Error("what was kept changed")
			}
			w.now = honest
			if v := w.accept(w.kept, w.third); v.Version != 3 {
				t.Errorf("version %d afterwards, want 3", v.Version)
			}
		})
	}
}

// clone goes through JSON, as a device keeps it.
func clone(t testing.TB, s trust.State) trust.State {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var c trust.State
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNamesThatLeaveTheRepository(t *testing.T) {
	base := newWorld(t)
	for _, name := range []string{
		"../fleet.json", "apps/../../etc/passwd", "/etc/passwd", "apps/a/../1.json", `apps\a\1.json`, "apps//1.json", "apps/a/.json",
		"apps/a/b/1.json", "apps/a/1.json/", "apps/a/1.JSON\n.json", "", "Fleet.json", "timestamp.json", "1.root.json", "apps/-/1.json",
		"apps/" + strings.Repeat("a", 200) + "/1.json",
	} {
		w := base.in(t)
		files := w.relist("targets", 3, w.forge(w.third["3.targets.json"], func(s object) {
			s["targets"].(object)[name] = object{"length": 2, "hashes": entry(1, []byte("{}"))["hashes"]}
		}, "release"))
		_, err := trust.Verify(context.Background(), w.factory, w.kept, files, w.now)
		refused(t, err, trust.ErrInvalid, "3.targets.json")
		refused(t, w.repo.Put(name, nil), trust.ErrInvalid, name)
	}
}
