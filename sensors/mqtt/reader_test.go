package mqtt

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

func encode(t testing.TB, p packets.ControlPacket) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func publishPacket(topic, data string, qos byte, id uint16) *packets.PublishPacket {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload, p.Qos, p.MessageID, p.Dup = topic, []byte(data), qos, id, qos > 0
	return p
}

func TestReader(t *testing.T) {
	var stream []byte
	for _, p := range []packets.ControlPacket{
		publishPacket("a", "small", 1, 7),
		publishPacket("a/b", strings.Repeat("x", 70_000), 1, 8),
		packets.NewControlPacket(packets.Pingresp),
		publishPacket(strings.Repeat("t", 600), strings.Repeat("x", 50_000), 0, 0),
		publishPacket("a", strings.Repeat("x", 39_997), 0, 0), // 40,000 bytes: the limit
		publishPacket("a", strings.Repeat("y", 32_760), 0, 0), // about the buffer's size
		publishPacket("end", "", 1, 9),
	} {
		stream = append(stream, encode(t, p)...)
	}
	want := []string{"a 7 5 0", "a/b 8 0 70007", "ttt 0 0 50602", "a 0 39997 0", "a 0 32760 0", "end 9 0 0"}
	for name, src := range map[string]io.Reader{
		"whole": bytes.NewReader(stream), "bytes": iotest.OneByteReader(bytes.NewReader(stream)),
		"halves": iotest.HalfReader(bytes.NewReader(stream)), "end with data": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		var got []string
		in := newReader(src, 40_000, func() {})
		for {
			p, err := in.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if p.first&typeMask != typePublish {
				continue
			}
			m, err := in.message(p)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got = append(got, m.Topic[:min(len(m.Topic), 3)]+" "+strconv.Itoa(int(m.ID))+" "+
				strconv.Itoa(len(m.Payload))+" "+strconv.FormatInt(m.TooLarge, 10))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// A payload stays as it is while later packets are read over the buffer.
func TestReaderGivesPayloadsAway(t *testing.T) {
	stream := append(encode(t, publishPacket("a", "first", 0, 0)), encode(t, publishPacket("b", "later", 0, 0))...)
	in := newReader(iotest.HalfReader(bytes.NewReader(stream)), 100, func() {})
	var all []Message
	for range 2 {
		p, err := in.next()
		if err != nil {
			t.Fatal(err)
		}
		m, err := in.message(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	if string(all[0].Payload) != "first" || all[0].Topic != "a" || string(all[1].Payload) != "later" {
		t.Errorf("the first message became %s on %s", all[0].Payload, all[0].Topic)
	}
}

func TestReaderRefuses(t *testing.T) {
	for name, stream := range map[string]string{
		"endless length":     "\x30\xff\xff\xff\xff\x7f",
		"huge PUBACK":        "\x40\xff\xff\xff\x7f",
		"topic over the end": "\x30\xff\x7f\xff\xff",
		"no room for the id": "\x32\xff\x7f\x3f\xfd" + strings.Repeat("t", 16381),
		"QoS 3":              "\x36\x05\x00\x01a\x00\x01",
		"no topic":           "\x30\x01\x00",
		"id 0":               "\x32\x05\x00\x01a\x00\x00",
		"id cut":             "\x32\x04\x00\x01a\x00",
	} {
		in := newReader(strings.NewReader(stream), 500, func() {})
		p, err := in.next()
		if err == nil {
			_, err = in.message(p)
		}
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want a malformed packet", name, err)
		}
	}
}

// FuzzReader reads what a broker may send in pieces of any size: it must make
// the same packets of it as paho, hold no more than was asked for, and end.
func FuzzReader(f *testing.F) {
	f.Add(encode(f, publishPacket("a/b", strings.Repeat("x", 300), 1, 8)), 100)
	f.Add(encode(f, publishPacket("a/b", "x", 0, 0)), 7)
	f.Add([]byte("\x90\x03\x00\x01\x80\xd0\x00"), 3)
	f.Fuzz(func(t *testing.T, stream []byte, chunk int) {
		const limit = 128
		in := newReader(&pieces{stream, max(1, min(chunk, 1000))}, limit, func() {})
		for {
			p, err := in.next()
			if err != nil {
				return
			}
			if p.first&typeMask != typePublish {
				continue
			}
			m, err := in.message(p)
			if err != nil {
				return
			}
			if int64(len(m.Payload)) > limit || m.TooLarge > 0 && m.Payload != nil {
				t.Errorf("a payload of %d bytes in a packet of %d", len(m.Payload), m.TooLarge)
			}
			if m.TooLarge > 0 {
				continue
			}
			again := appendPublish(nil, m.Topic, m.Payload, m.QoS, m.Retained, m.ID)
			theirs, err := packets.ReadPacket(bytes.NewReader(again))
			if err != nil {
				t.Fatalf("paho cannot read %x: %v", again, err)
			}
			if q := theirs.(*packets.PublishPacket); q.TopicName != m.Topic || !bytes.Equal(q.Payload, m.Payload) || q.Qos != m.QoS || q.MessageID != m.ID || q.Retain != m.Retained {
				t.Errorf("paho reads %v, want %v", q, m)
			}
		}
	})
}

// pieces is a reader of at most size bytes at a time.
type pieces struct {
	left []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.left)
	p.left = p.left[n:]
	return n, nil
}

// BenchmarkReader reads publishes of some 120 bytes.
func BenchmarkReader(b *testing.B) {
	one := encode(b, publishPacket("site/7/temp", strings.Repeat("x", 100), 1, 7))
	in := newReader(endless(one), 1<<20, func() {})
	b.SetBytes(int64(len(one)))
	b.ReportAllocs()
	for b.Loop() {
		p, err := in.next()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := in.message(p); err != nil {
			b.Fatal(err)
		}
	}
}

// endless gives the same bytes, in whole copies, again and again.
type endless []byte

func (e endless) Read(b []byte) (n int, err error) {
	for len(b)-n >= len(e) {
		n += copy(b[n:], e)
	}
	if n == 0 {
		return 0, io.ErrShortBuffer
	}
	return n, nil
}
