package trust_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/skerry-edge/skerry/sync/trust"
)

// edit puts text over a part of data; a part beyond the end is cut to it.
func edit(data []byte, from, to uint16, text []byte) []byte {
	i := min(int(from), len(data))
	j := max(i, min(int(to), len(data)))
	return slices.Concat(data[:i], text, data[j:])
}

// FuzzVerify changes a file on the carrier and a kept one. Whatever is accepted is
// what was signed, and what was kept never stands in the way.
func FuzzVerify(f *testing.F) {
	w := newWorld(f)
	ctx := context.Background()
	files := []string{
		"timestamp.json", "3.snapshot.json", "3.targets.json", "3.fleet.json", "2.root.json",
		"1.root.json", "fleet.json", "apps/overheat/1.2.0.json",
	}
	f.Add(uint8(0), uint16(0), uint16(0xffff), []byte("{}"), uint8(0), uint16(0), uint16(0xffff), []byte("null"))
	f.Add(uint8(4), uint16(0), uint16(0xffff), []byte(`{"signed":{"_type":"root","roles":{"root":null}}}`), uint8(1), uint16(9), uint16(9), []byte(" "))
	f.Add(uint8(2), uint16(0), uint16(0xffff), []byte(`{"signed":{"_type":"targets","targets":{"a":null}}}`), uint8(2), uint16(40), uint16(41), []byte("9"))
	f.Add(uint8(7), uint16(3), uint16(4), []byte("x"), uint8(5), uint16(0), uint16(3), []byte("ff"))
	f.Fuzz(func(t *testing.T, file uint8, from, to uint16, text []byte, part uint8, keptFrom, keptTo uint16, keptText []byte) {
		kept := clone(t, w.kept)
		factory := []byte(kept.Factory)
		parts := []*[]byte{&kept.Root, &kept.Timestamp, &kept.Snapshot, &kept.Targets, &kept.Fleet, &factory}
		p := parts[int(part)%len(parts)]
		*p = edit(*p, keptFrom, keptTo, keptText)
		kept.Factory = string(factory)
		if v, err := trust.Verify(ctx, w.factory, kept, w.third, w.now); err != nil || v.Version != 3 {
			t.Fatalf("an honest publication after the kept state was damaged: %v", err)
		}
		name := files[int(file)%len(files)]
		changed := w.third.with(name, edit(w.third[name], from, to, text))
		v, err := trust.Verify(ctx, w.factory, w.kept, changed, w.now)
		if err != nil {
			if !slices.ContainsFunc(reasons, func(r error) bool { return errors.Is(err, r) }) {
				t.Fatalf("an error without a reason: %v", err)
			}
			return
		}
		if v.Version != 3 || v.Root != 1 || len(v.Documents) != 4 {
			t.Fatalf("accepted version %d of root %d with %v", v.Version, v.Root, v.Documents)
		}
		for name := range v.Documents {
			data, err := v.Document(ctx, name)
			if err == nil && !bytes.Equal(data, w.third[name]) {
				t.Fatalf("%s: accepted %q", name, data)
			}
		}
	})
}

// FuzzSigned gives a thief of keys the pen: what is well signed and badly formed
// is refused with a reason, or says what documents may be.
func FuzzSigned(f *testing.F) {
	w := newWorld(f)
	for i, name := range []string{"timestamp.json", "3.snapshot.json", "3.targets.json", "3.fleet.json", "1.root.json"} {
		var file struct{ Signed json.RawMessage }
		w.must(json.Unmarshal(w.third[name], &file))
		f.Add(uint8(i), []byte(file.Signed))
	}
	f.Add(uint8(0), []byte(`{"_type":"timestamp","version":9,"meta":{"snapshot.json":null}}`))
	f.Add(uint8(1), []byte(`{"_type":"snapshot","version":3,"meta":{"targets.json":null,"fleet.json":{"version":-1}}}`))
	f.Add(uint8(2), []byte(`{"_type":"targets","version":3,"targets":{"apps/a/1.json":null},"delegations":{"keys":null,"roles":[{"name":"fleet"}]}}`))
	f.Add(uint8(4), []byte(`{"_type":"root","version":2,"keys":{"a":null},"roles":{"root":null}}`))
	f.Fuzz(func(t *testing.T, file uint8, signed []byte) {
		w := w.in(t)
		var content object
		if json.Unmarshal(signed, &content) != nil || content == nil {
			return
		}
		data, ok := w.seal(content, []string{"rollout", "rollout", "release", "rollout", "root"}[file%5])
		if !ok {
			return
		}
		var files carrier
		switch file % 5 {
		case 0:
			files = w.third.with("timestamp.json", data)
		case 1:
			files = w.resnapshot(w.third, 3, data)
		case 2:
			files = w.relist("targets", 3, data)
		case 3:
			files = w.relist("fleet", 3, data)
		case 4:
			files = w.third.with("2.root.json", data)
		}
		v, err := trust.Verify(context.Background(), w.factory, w.kept, files, w.now)
		if err != nil && !slices.ContainsFunc(reasons, func(r error) bool { return errors.Is(err, r) }) {
			t.Fatalf("an error without a reason: %v", err)
		}
		if v == nil {
			return
		}
		for name, size := range v.Documents {
			if size < 0 || size > 1<<20 || bytes.Contains([]byte(name), []byte("..")) && bytes.Contains([]byte(name), []byte("../")) {
				t.Fatalf("document %q of %d bytes", name, size)
			}
		}
	})
}
