package mqtt

import (
	"encoding/binary"
	"io"
)

const (
	readBuffer = 32 << 10 // bytes; some 250 messages of 120 bytes in one system call
	maxTopics  = 1 << 10  // topics whose text is kept, so that a message of a known one needs no new string
	maxOther   = 64       // bytes; no packet but PUBLISH is larger than this, as filters are subscribed one by one
)

// reader cuts what a broker sends into packets.
type reader struct {
	src    io.Reader
	buf    []byte // of readBuffer bytes
	from   int    // what is read and not used yet is buf[from:to]
	to     int
	max    int64 // bytes of the largest PUBLISH to take in
	topics map[string]string
	before func() // called before each read from src
}

func newReader(src io.Reader, maxPacket int64, before func()) *reader {
	return &reader{src: src, buf: make([]byte, readBuffer), max: maxPacket, topics: map[string]string{}, before: before}
}

// packet is one packet from the broker. body is valid until the next one is
// read, unless own says that nobody else uses it.
type packet struct {
	first byte
	body  []byte
	own   bool
	size  int64 // bytes of the body, when it was too large; body is what there is before the payload
}

// next reads one packet.
func (r *reader) next() (packet, error) {
	first, length, n, err := r.header()
	if err != nil {
		return packet{}, err
	}
	if first&typeMask != typePublish && length > maxOther {
		return packet{}, ErrMalformed
	}
	r.from += n
	switch {
	case first&typeMask == typePublish && length > r.max:
		return r.shorten(first, length)
	case length <= int64(len(r.buf)):
		if err := r.need(int(length)); err != nil {
			return packet{}, err
		}
		body := r.buf[r.from : r.from+int(length)]
		r.from += int(length)
		return packet{first: first, body: body}, nil
	}
	body := make([]byte, length)
	n = copy(body, r.buf[r.from:r.to])
	r.from += n
	r.before()
	if _, err := io.ReadFull(r.src, body[n:]); err != nil {
		return packet{}, err
	}
	return packet{first: first, body: body, own: true}, nil
}

// header reads the fixed header, of n bytes.
func (r *reader) header() (first byte, length int64, n int, err error) {
	if err := r.need(2); err != nil {
		return 0, 0, 0, err
	}
	first = r.buf[r.from]
	for n = 1; ; n++ {
		if n > 4 {
			return 0, 0, 0, ErrMalformed
		}
		if err := r.need(n + 1); err != nil {
			return 0, 0, 0, err
		}
		b := r.buf[r.from+n]
		length |= int64(b&0x7f) << (7 * (n - 1))
		if b < 0x80 {
			return first, length, n + 1, nil
		}
	}
}

// need reads until n bytes, at most len(buf), are there.
func (r *reader) need(n int) error {
	for r.to-r.from < n {
		if r.from == r.to {
			r.from, r.to = 0, 0
		} else if r.from+n > len(r.buf) {
			r.to = copy(r.buf, r.buf[r.from:r.to])
			r.from = 0
		}
		r.before()
		got, err := r.src.Read(r.buf[r.to:])
		r.to += got
		if err != nil && r.to-r.from < n {
			return unexpected(err, r.to > r.from)
		}
	}
	return nil
}

// unexpected is err, but for an end in the middle of a packet.
func unexpected(err error, within bool) error {
	if err == io.EOF && within {
		return io.ErrUnexpectedEOF
	}
	return err
}

// shorten keeps topic and id of a PUBLISH that is too large, and discards the
// rest as it comes.
func (r *reader) shorten(first byte, length int64) (packet, error) {
	if err := r.need(2); err != nil {
		return packet{}, err
	}
	n := 2 + int64(binary.BigEndian.Uint16(r.buf[r.from:]))
	if first>>1&3 > 0 {
		n += 2
	}
	if n > length {
		return packet{}, ErrMalformed
	}
	head := make([]byte, n)
	if err := r.copyOut(head); err != nil {
		return packet{}, err
	}
	for left := length - n; left > 0; {
		if err := r.need(1); err != nil {
			return packet{}, err
		}
		skip := min(left, int64(r.to-r.from))
		r.from += int(skip)
		left -= skip
	}
	return packet{first: first, body: head, own: true, size: length}, nil
}

// copyOut fills b, which may be larger than the buffer.
func (r *reader) copyOut(b []byte) error {
	for len(b) > 0 {
		if err := r.need(1); err != nil {
			return err
		}
		n := copy(b, r.buf[r.from:r.to])
		r.from += n
		b = b[n:]
	}
	return nil
}

// message makes a Message of a PUBLISH.
func (r *reader) message(p packet) (Message, error) {
	m, topic, payload, err := parsePublish(p.first, p.body)
	if err != nil {
		return m, err
	}
	m.Topic = r.topic(topic)
	switch {
	case p.size > 0:
		m.TooLarge = p.size
	case p.own:
		m.Payload = payload
	default:
		m.Payload = append(make([]byte, 0, len(payload)), payload...)
	}
	return m, nil
}

// topic is b as a string; sensors send on few topics again and again.
func (r *reader) topic(b []byte) string {
	if s, ok := r.topics[string(b)]; ok {
		return s
	}
	if len(r.topics) >= maxTopics {
		clear(r.topics)
	}
	s := string(b)
	if len(s) <= 512 {
		r.topics[s] = s
	}
	return s
}
