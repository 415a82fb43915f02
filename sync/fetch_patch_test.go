package fleetsync_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// packed is a zstd frame of data, with old as its raw dictionary if there is one.
func packed(t testing.TB, data, old []byte, opts ...zstd.EOption) []byte {
	t.Helper()
	opts = append([]zstd.EOption{zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(8 << 20)}, opts...)
	if old != nil {
		opts = append(opts, zstd.WithEncoderDictRaw(0, old), zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	}
	enc, err := zstd.NewWriter(nil, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	return enc.EncodeAll(data, nil)
}

// text is a module that can be compressed, and edited is another version of it.
func text(size int) []byte {
	out := module(9, size)
	for i := 64; i+64 <= size; i += 64 {
		copy(out[i:], "the same words in every record, ")
	}
	return out
}

func edited(old []byte) []byte {
	out := bytes.Clone(old)
	copy(out[len(out)/2:], "another constant")
	return out
}

func patchOf(from agent.Digest, patch []byte) fleetsync.AppPatch {
	return fleetsync.AppPatch{From: string(from), Digest: string(digestOf(patch)), Size: int64(len(patch)), Format: "zstd"}
}

// TestPatchesLeadToTheModule fetches version after version, each the shortest way.
func TestPatchesLeadToTheModule(t *testing.T) {
	reg, l := startLine(t)
	one := text(moduleBytes)
	two := edited(one)
	plain, patch := packed(t, one, nil), packed(t, two, one)
	for _, blob := range [][]byte{one, two, plain, patch} {
		pushBlob(t, reg.Addr(), blob)
	}
	g := newGateway(t, t.TempDir(), l.ref())
	l.set(nil)
	if err := g.bring(one, patchOf(fleetsync.FromNothing, plain)); err != nil {
		t.Fatal(err)
	}
	g.want(one)
	if l.bytes.Load() != int64(len(plain)) || len(plain) > moduleBytes*2/3 {
		t.Errorf("the first took %d bytes, want the %d of the compressed one", l.bytes.Load(), len(plain))
	}
	g.stop()
	g.start(l.ref())
	l.set(func(a *answer) { a.cut = len(patch) / 2 })
	ways := []fleetsync.AppPatch{patchOf(digestOf([]byte("unknown")), []byte("x")), patchOf(digestOf(one), []byte("y")), patchOf(digestOf(one), patch)}
	ways[1].Format = "bsdiff"
	if err := g.bring(two, ways...); err != nil {
		t.Fatal(err)
	}
	g.want(two)
	if l.bytes.Load() != int64(len(patch)) || len(patch) > 1000 {
		t.Errorf("the second took %d bytes, want the %d of the patch", l.bytes.Load(), len(patch))
	}
	if g.store.HasBlob(digestOf(patch)) || g.store.HasBlob(digestOf(plain)) {
		t.Error("a patch is kept though its module is there")
	}
}

// TestABadPatchIsTriedOnce holds that whatever is wrong with a patch, the module
// comes whole, and that the patch is not asked for again.
func TestABadPatchIsTriedOnce(t *testing.T) {
	reg, l := startLine(t)
	old := text(moduleBytes)
	m := edited(old)
	pushBlob(t, reg.Addr(), old)
	pushBlob(t, reg.Addr(), m)
	bent := packed(t, m, old)
	bent[len(bent)-3] ^= 4
	long := append(packed(t, m, old), packed(t, old, old)...)
	for name, patch := range map[string][]byte{
		"no patch at all":      []byte("not zstd, whatever it says of itself"),
		"damaged by who made":  bent,
		"of another module":    packed(t, m, edited(edited(old[:len(old)-1]))),
		"gives another module": packed(t, old, old),
		"gives too much":       long,
		"gives too little":     packed(t, m[:moduleBytes-1], old),
		"bomb":                 packed(t, make([]byte, 40<<20), old),
		"empty":                packed(t, nil, old, zstd.WithZeroFrames(true)),
	} {
		t.Run(name, func(t *testing.T) {
			pushBlob(t, reg.Addr(), patch)
			useless(t, l, old, m, patchOf(digestOf(old), patch), nil)
		})
	}
	good := packed(t, m, old)
	t.Run("not in the registry", func(t *testing.T) { useless(t, l, old, m, patchOf(digestOf(old), good), nil) })
	pushBlob(t, reg.Addr(), good)
	t.Run("damaged on the way", func(t *testing.T) {
		useless(t, l, old, m, patchOf(digestOf(old), good), func(a *answer) {
			if strings.HasSuffix(a.req.URL.Path, string(digestOf(good))) {
				a.body[10] ^= 1
			}
		})
	})
	plain := []byte("not zstd")
	pushBlob(t, reg.Addr(), plain)
	t.Run("plain", func(t *testing.T) { useless(t, l, old, m, patchOf(fleetsync.FromNothing, plain), nil) })
}

// useless holds that the module comes whole, in two rounds, and that the patch is
// asked for in the first one only.
func useless(t *testing.T, l *line, old, m []byte, patch fleetsync.AppPatch, treat func(*answer)) {
	g := newGateway(t, t.TempDir(), l.ref())
	l.set(nil)
	if err := g.bring(old); err != nil {
		t.Fatal(err)
	}
	patched, whole := 0, 0
	l.set(func(a *answer) {
		if strings.HasSuffix(a.req.URL.Path, patch.Digest) {
			patched++
			if treat != nil {
				treat(a)
			}
			return
		}
		if whole++; whole == 1 {
			a.cut = 500_000
		} else if whole == 2 {
			a.plainly(http.StatusForbidden) // ends the round
		}
	})
	if err := g.bring(m, patch); err == nil {
		t.Fatal("the first round ended well")
	}
	tries := patched
	if err := g.bring(m, patch); err != nil {
		t.Fatal(err)
	}
	g.want(m)
	if tries == 0 || patched != tries || g.store.HasBlob(agent.Digest(patch.Digest)) {
		t.Errorf("the patch was asked for %d times, and %d in the second round; kept: %v", tries, patched-tries, g.store.HasBlob(agent.Digest(patch.Digest)))
	}
	if most := moduleBytes + patch.Size; l.bytes.Load() > most {
		t.Errorf("%d bytes were served, at most %d", l.bytes.Load(), most)
	}
}

// TestABadLineDoesNotCondemnAPatch: a patch that the line, or the login, did not let
// through is tried again in the next rounds, and not for ever.
func TestABadLineDoesNotCondemnAPatch(t *testing.T) {
	reg, l := startLine(t)
	old := text(moduleBytes)
	m := edited(old)
	patch := packed(t, m, old)
	for _, blob := range [][]byte{old, m, patch} {
		pushBlob(t, reg.Addr(), blob)
	}
	for name, spoil := range map[string]func(a *answer){
		"cut":       func(a *answer) { a.cut = -1 },
		"forbidden": func(a *answer) { a.plainly(http.StatusForbidden) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, t.TempDir(), l.ref())
			l.set(nil)
			if err := g.bring(old); err != nil {
				t.Fatal(err)
			}
			l.set(func(a *answer) {
				if strings.HasSuffix(a.req.URL.Path, string(digestOf(patch))) {
					spoil(a)
				}
			})
			for range 3 {
				if err := g.bring(m, patchOf(digestOf(old), patch)); err == nil || l.bytes.Load() > 0 {
					t.Fatalf("%d bytes over a dead line: %v", l.bytes.Load(), err)
				}
			}
			if err := g.bring(m, patchOf(digestOf(old), patch)); err != nil || l.bytes.Load() != moduleBytes {
				t.Errorf("in the end %d bytes, want those of the whole module: %v", l.bytes.Load(), err)
			}
			g.want(m)
		})
	}
}

// TestAPatchMayTakeManyRounds as long as each brings some of it.
func TestAPatchMayTakeManyRounds(t *testing.T) {
	reg, l := startLine(t)
	old := text(moduleBytes)
	m := bytes.Clone(old)
	copy(m[100_000:], module(4, 300_000))
	patch := packed(t, m, old)
	for _, blob := range [][]byte{old, patch} {
		pushBlob(t, reg.Addr(), blob)
	}
	g := newGateway(t, t.TempDir(), l.ref())
	if err := g.bring(old); err != nil {
		t.Fatal(err)
	}
	l.set(func(a *answer) {
		if a.cut = 50_000; a.ask%2 == 0 {
			a.plainly(http.StatusForbidden) // ends the round
		}
	})
	rounds := 0
	for err := errors.New("not yet"); err != nil; rounds++ {
		if err = g.bring(m, patchOf(digestOf(old), patch)); rounds > 10 {
			t.Fatal(err)
		}
	}
	g.want(m)
	if got := l.bytes.Load(); got != int64(len(patch)) || rounds < 5 {
		t.Errorf("%d bytes came in %d rounds, the patch has %d", got, rounds, len(patch))
	}
}
