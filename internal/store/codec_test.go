package store_test

import (
	"bytes"
	"hash/crc32"
	"reflect"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

func crc(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func someFrame() agent.Frame {
	return agent.Frame{
		Add:   []agent.Record{record("a", 1), record("b", 2), {Queue: "c"}},
		Done:  []uint64{1, 1 << 40},
		Touch: []agent.Touch{{Seq: 5, Attempts: 2, NotBefore: time.Unix(9, 9).UTC()}, {Seq: 6}},
		Writes: []agent.Write{
			write("a", "1"), write("b", ""),
			{Scope: "s", Key: "gone"},
			{Scope: "s", Key: "soon", Value: []byte("v"), Expires: time.Unix(4e9, 0).UTC()},
		},
	}
}

func TestFrameCodec(t *testing.T) {
	want := someFrame()
	got, first, err := store.DecodeFrame(store.EncodeFrame(&want, 77))
	for i := range want.Add {
		want.Add[i].Seq = 77 + uint64(i)
	}
	if err != nil || first != 77 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %d, %v\nwant %+v", got, first, err, want)
	}
}

func FuzzFrame(f *testing.F) {
	frame := someFrame()
	f.Add(store.EncodeFrame(&frame, 77))
	f.Add(store.EncodeFrame(&agent.Frame{}, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, first, err := store.DecodeFrame(b)
		if err != nil {
			return
		}
		again, first2, err := store.DecodeFrame(store.EncodeFrame(&got, first))
		if err != nil || first != first2 || !reflect.DeepEqual(got, again) {
			t.Errorf("round trip: %v\n%+v\n%+v", err, got, again)
		}
	})
}

func FuzzSegment(f *testing.F) {
	frame := someFrame()
	whole := store.Segment(store.EncodeFrame(&frame, 77), store.EncodeFrame(&agent.Frame{Done: []uint64{77}}, 80))
	if n := store.ScanFrames(whole); n != 2 || store.Header(whole) != nil {
		f.Fatalf("%d frames, header %v", n, store.Header(whole))
	}
	f.Add(whole)
	f.Add(whole[:1040])
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = store.Header(b) // only must not panic
		store.ScanFrames(b)
	})
}

func FuzzFooter(f *testing.F) {
	index := store.SomeIndex()
	if again, err := store.ParseIndex(index); err != nil || !bytes.Equal(index, again) {
		f.Fatalf("%x became %x, %v", index, again, err)
	}
	f.Add(index)
	f.Add(make([]byte, 10))
	f.Fuzz(func(t *testing.T, b []byte) {
		if again, err := store.ParseIndex(b); err != nil && again != nil {
			t.Error(err)
		}
		if used, err := store.Trailer(b); err == nil && used > int64(len(b)) {
			t.Errorf("the footer begins at %d of %d", used, len(b))
		}
		store.TableIntact(b) // only must not panic
	})
}
