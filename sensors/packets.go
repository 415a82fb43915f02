package sensors

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// MQTT packet types that a broker may send (MQTT 3.1.1, table 2.1).
const (
	packetConnack  = 2
	packetPublish  = 3
	packetPuback   = 4
	packetPubcomp  = 7
	packetSuback   = 9
	packetUnsuback = 11
	packetPingresp = 13
)

var errPacket = errors.New("the broker sent a malformed packet")

const maxOtherPacket = 64 // bytes; no packet but PUBLISH is larger than this, as filters are subscribed one by one

// packetReader hands on the packets of a broker, knowing where each begins. It
// reads ahead, so that one system call brings many packets, and it never lets
// a large packet into memory: of a PUBLISH with more than max bytes it passes
// on topic and packet id with an oversizeTopic and no payload, so that the
// packet can be acknowledged and is not sent again for ever.
type packetReader struct {
	r    *bufio.Reader
	max  int64
	head []byte // of the current packet, still to be handed on
	left int64  // bytes of the current packet behind head
	buf  [8]byte
}

func newPacketReader(r io.Reader, size int, maxPacket int64) *packetReader {
	return &packetReader{r: bufio.NewReaderSize(r, size), max: maxPacket}
}

// Read implements io.Reader.
func (p *packetReader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if len(p.head) == 0 && p.left == 0 {
		if err := p.next(); err != nil {
			return 0, err
		}
	}
	if len(p.head) > 0 {
		n := copy(b, p.head)
		p.head = p.head[n:]
		return n, nil
	}
	n, err := p.r.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	return n, err
}

// next reads a fixed header and decides what becomes of the packet.
func (p *packetReader) next() error {
	first, err := p.r.ReadByte()
	if err != nil {
		return err
	}
	head := append(p.buf[:0], first)
	var length int64
	for shift := 0; ; shift += 7 {
		if shift > 21 {
			return fmt.Errorf("%w: a length of more than four bytes", errPacket)
		}
		b, err := p.r.ReadByte()
		if err != nil {
			return err
		}
		head = append(head, b)
		length |= int64(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	if first>>4 == packetPublish && length > p.max {
		return p.shorten(first, length)
	}
	p.head, p.left = head, length
	return check(first>>4, length)
}

// check refuses packets that a broker has no reason to send, and those that
// paho cannot take: it indexes its request by the codes in a SUBACK.
func check(kind byte, length int64) error {
	switch {
	case kind == packetPublish:
		return nil
	case kind != packetConnack && kind != packetSuback && kind != packetUnsuback && kind != packetPingresp &&
		(kind < packetPuback || kind > packetPubcomp):
		return fmt.Errorf("%w: type %d", errPacket, kind)
	case kind == packetSuback && length != 3, length > maxOtherPacket:
		return fmt.Errorf("%w: type %d with %d bytes", errPacket, kind, length)
	}
	return nil
}

// shorten replaces the PUBLISH that begins here with one that has no payload.
func (p *packetReader) shorten(first byte, length int64) error {
	topic, n, err := p.readTopic(length)
	if err != nil {
		return err
	}
	var id []byte
	if first>>1&3 > 0 {
		if n += 2; n > length {
			return fmt.Errorf("%w: no packet id", errPacket)
		}
		id = make([]byte, 2)
		if _, err := io.ReadFull(p.r, id); err != nil {
			return err
		}
	}
	if _, err := p.r.Discard(int(length - n)); err != nil {
		return err
	}
	p.head, p.left = encodePublish(first, oversizeTopic(topic, length), id), 0
	return nil
}

// readTopic reads the topic of a PUBLISH of the given length; n is what it took.
func (p *packetReader) readTopic(length int64) (topic string, n int64, err error) {
	var size [2]byte
	if _, err := io.ReadFull(p.r, size[:]); err != nil {
		return "", 0, err
	}
	n = 2 + int64(binary.BigEndian.Uint16(size[:]))
	if n > length {
		return "", 0, fmt.Errorf("%w: the topic is longer than the packet", errPacket)
	}
	b := make([]byte, n-2)
	_, err = io.ReadFull(p.r, b)
	return string(b), n, err
}

// encodePublish makes a PUBLISH without payload; topic is short.
func encodePublish(first byte, topic string, id []byte) []byte {
	length := 2 + len(topic) + len(id)
	b := append(make([]byte, 0, 5+length), first)
	b = binary.AppendUvarint(b, uint64(length)) // MQTT's lengths are of the same form
	b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
	b = append(b, topic...)
	return append(b, id...)
}

// oversizeTopic is the topic of a shortened packet: a zero byte, which no
// topic may have, the size it had, another zero byte, and its own topic.
func oversizeTopic(topic string, size int64) string {
	return "\x00" + strconv.FormatInt(size, 10) + "\x00" + topic[:min(len(topic), 512)]
}

// parseOversize undoes oversizeTopic; ok is false for any other topic.
func parseOversize(s string) (topic string, size int64, ok bool) {
	rest, ok := strings.CutPrefix(s, "\x00")
	if !ok {
		return "", 0, false
	}
	digits, topic, ok := strings.Cut(rest, "\x00")
	if !ok {
		return "", 0, false
	}
	size, err := strconv.ParseInt(digits, 10, 64)
	return topic, size, err == nil
}
