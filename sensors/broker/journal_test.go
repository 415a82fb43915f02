package broker_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors/broker"
)

// TestCrash: what was acknowledged is there after a power cut.
func TestCrash(t *testing.T) {
	r := start(t, stored(t))
	c := r.lasting("a")
	c.subscribe(1, 2, "a/#")
	c.bye()
	p, _ := r.connect("pub", true)
	p.publish("a/1", "one", 1)
	p.publish("a/2", "two", 2)
	p.publish("kept", "value", 1, retained)
	p.publish("gone", "value", 1, retained)
	p.publish("gone", "", 1, retained)
	for range 2 { // the second crash finds what the first start wrote
		r.crash()
		p, _ = r.connect("pub", true)
		p.subscribe(1, 1, "#")
		same(t, "retained", p.receive(1), "kept value 1 retained")
		p.bye()
	}
	c, present := r.connect("a", false)
	if !present {
		t.Error("the session is gone")
	}
	same(t, "queued", c.receive(2), "a/1 one 1", "a/2 two 2")
	p, _ = r.connect("pub", true)
	p.publish("a/3", "live", 1)
	same(t, "the subscription lives", c.receive(1), "a/3 live 1")
}

// TestPublisherWaits: while a subscriber with a lasting session is slow, its
// message is on disk before the publisher is told that it has arrived.
func TestPublisherWaits(t *testing.T) {
	r := start(t, stored(t))
	c := r.lasting("a")
	c.subscribe(1, 1, "a/#")
	before := fileSize(t, r)
	p, _ := r.connect("pub", true)
	for i := range 20 { // acknowledged at once: nothing of it is written
		p.post(1, "a/1", fmt.Sprint(i), 1)
		c.receive(1)
		expect[*packets.PubackPacket](p)
	}
	if after := fileSize(t, r); after != before {
		t.Errorf("%d bytes written for messages that were acknowledged at once", after-before)
	}
	p.publish("a/1", "slow", 1) // acknowledged once it is on disk
	r.crash()
	same(t, "after the crash", r.lasting("a").receive(1), "a/1 slow 1 again")
}

func fileSize(t *testing.T, r *rig) int64 {
	t.Helper()
	info, err := os.Stat(r.opts.Path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestRestartInFlight: after an orderly restart packet ids are what they were,
// so that a message of QoS 2 comes once.
func TestRestartInFlight(t *testing.T) {
	r := start(t, stored(t))
	c := r.lasting("a")
	c.subscribe(1, 2, "a/#")
	p, _ := r.connect("pub", true)
	p.publish("a/1", "x", 2)
	p.publish("a/1", "y", 2)
	x, y := expect[*packets.PublishPacket](c), expect[*packets.PublishPacket](c)
	rec := packets.NewControlPacket(packets.Pubrec).(*packets.PubrecPacket)
	rec.MessageID = x.MessageID
	c.send(rec)
	expect[*packets.PubrelPacket](c)
	r.stop()
	r.begin()
	c = r.lasting("a")
	if rel := expect[*packets.PubrelPacket](c); rel.MessageID != x.MessageID {
		t.Errorf("PUBREL for %d, want %d", rel.MessageID, x.MessageID)
	}
	m := expect[*packets.PublishPacket](c)
	if told(m) != "a/1 y 2 again" || m.MessageID != y.MessageID {
		t.Errorf("got %s with id %d, want id %d", told(m), m.MessageID, y.MessageID)
	}
	c.complete(x.MessageID)
	c.acknowledge(m)
	c.complete(expect[*packets.PubrelPacket](c).MessageID)
	c.silent("after both")
}

// TestFileStaysSmall: what is over is not kept for ever.
func TestFileStaysSmall(t *testing.T) {
	r := start(t, stored(t))
	c := r.lasting("a")
	c.subscribe(1, 1, "a/#")
	c.bye()
	p, _ := r.connect("pub", true)
	text := strings.Repeat("x", 100<<10)
	for range 8 {
		for range 10 {
			p.publish("a/1", text, 1)
		}
		c = r.lasting("a")
		c.receive(10)
		c.bye()
	}
	p.publish("a/1", "last", 1)
	if size := fileSize(t, r); size > 5<<20 {
		t.Errorf("%d bytes on disk for one short message", size)
	}
	r.crash()
	same(t, "after the crash", r.lasting("a").receive(1), "a/1 last 1")
}

// TestFullDisk: publishers wait while nothing can be written, and are told as
// soon as it can.
func TestFullDisk(t *testing.T) {
	r := start(t, stored(t))
	c := r.lasting("a")
	c.subscribe(1, 1, "a/#")
	c.bye()
	blocked := r.opts.Path + ".new"
	if err := os.Mkdir(blocked, 0o700); err != nil {
		t.Fatal(err)
	}
	r.BreakDisk()
	p, _ := r.connect("pub", true)
	p.post(1, "a/1", "x", 1)
	testbed.Eventually(t, patience, "the error is told", func() error {
		if st := r.Stats(); st.Disk == nil {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	p.silent("acknowledged though nothing can be written")
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	expect[*packets.PubackPacket](p)
	if err := r.Stats().Disk; err != nil {
		t.Errorf("after the disk works again: %v", err)
	}
	r.crash()
	same(t, "after the crash", r.lasting("a").receive(1), "a/1 x 1")
}

// TestDamage flips a bit, zeroes a block or cuts the end off at seeded places:
// what is lost is told, and the rest is there.
func TestDamage(t *testing.T) {
	r := start(t, stored(t))
	c := r.lasting("a")
	c.subscribe(1, 1, "a/#")
	c.bye()
	p, _ := r.connect("pub", true)
	for i := range 50 {
		p.publish("a/1", fmt.Sprintf("%02d %s", i, strings.Repeat("x", 100)), 1)
	}
	whole, err := os.ReadFile(r.opts.Path)
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		damaged, at := slices.Clone(whole), len(whole)/4+rnd.IntN(len(whole)/2)
		switch seed % 3 {
		case 0:
			damaged[at] ^= 1 << rnd.IntN(8)
		case 1:
			clear(damaged[at:min(at+512, len(damaged))])
		case 2:
			damaged = damaged[:at]
		}
		opts := r.opts
		opts.Path = filepath.Join(t.TempDir(), "sessions")
		if err := os.WriteFile(opts.Path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		opts.Log = slog.New(slog.NewTextHandler(&log, nil))
		b, err := broker.New(opts)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		b.CloseDisk()
		st := b.Stats()
		left := st.Queued / broker.MessageSize("a/1", 103)
		if st.Sessions != 1 || st.Filters != 1 || left < 10 || left >= 50 {
			t.Errorf("seed %d: %+v, %d messages left", seed, st, left)
		}
		if told := strings.Contains(log.String(), "sessions"); !told {
			t.Errorf("seed %d: nothing is told of %d messages that are lost", seed, 50-left)
		}
		if _, err := os.Stat(opts.Path + ".damaged"); seed%3 == 0 && (err != nil || st.Damaged == 0) {
			t.Errorf("seed %d: %v, %d bytes damaged", seed, err, st.Damaged)
		}
	}
}

// FuzzLoad: no file, however odd, keeps the broker from starting.
func FuzzLoad(f *testing.F) {
	f.Add([]byte("skmqtt1\n"))
	f.Add(broker.SampleFile())
	f.Fuzz(func(t *testing.T, file []byte) {
		path := filepath.Join(t.TempDir(), "sessions")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		opts := broker.Options{Path: path, Inlet: &inlet{}, Log: slog.New(slog.DiscardHandler)}
		b, err := broker.New(opts)
		if err != nil {
			t.Fatal(err)
		}
		b.CloseDisk()
		first := b.Stats()
		again, err := broker.New(opts)
		if err != nil {
			t.Fatal(err)
		}
		again.CloseDisk()
		second := again.Stats()
		first.Damaged = 0
		if first != second {
			t.Errorf("read as %+v, written and read again as %+v", first, second)
		}
	})
}
