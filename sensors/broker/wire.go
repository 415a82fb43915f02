package broker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"
)

var errMalformed = errors.New("malformed packet")

// cursor reads the fields of a packet. After a field that is not there, bad is
// set, and all further fields are zero.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n > len(c.b) {
		c.bad = true
		return nil
	}
	b := c.b[:n:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) u8() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// bytes is a field of binary data; it shares the packet's memory.
func (c *cursor) bytes() []byte { return c.take(int(c.u16())) }

// text is a field of UTF-8 text (MQTT 3.1.1 section 1.5.3); it shares the
// packet's memory.
func (c *cursor) text() []byte {
	b := c.bytes()
	if !utf8.Valid(b) {
		c.bad = true
		return nil
	}
	for _, ch := range b {
		if ch == 0 {
			c.bad = true
			return nil
		}
	}
	return b
}

func (c *cursor) str() string { return string(c.text()) }

// varint is a variable byte integer of at most four bytes.
func (c *cursor) varint() int {
	n := 0
	for shift := 0; shift < 28; shift += 7 {
		b := c.u8()
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	c.bad = true
	return 0
}

// readHeader reads the fixed header of the next packet: its first byte, and
// how many bytes follow.
func readHeader(r *bufio.Reader) (first byte, n int, err error) {
	if first, err = r.ReadByte(); err != nil {
		return 0, 0, err
	}
	for shift := 0; shift < 28; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, 0, err
		}
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return first, n, nil
		}
	}
	return 0, 0, errMalformed
}

func appendVarint(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) } // the same form

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// appendPacket adds a packet of first byte and body.
func appendPacket(b []byte, first byte, body []byte) []byte {
	return append(appendVarint(append(b, first), len(body)), body...)
}

// Covers tells whether every topic that matches the filter narrow matches wide
// too.
func Covers(wide, narrow string) bool {
	if strings.HasPrefix(narrow, "$") && !strings.HasPrefix(wide, "$") {
		return false // wildcards do not match the broker's own topics
	}
	w, n := strings.Split(wide, "/"), strings.Split(narrow, "/")
	for i, level := range w {
		switch {
		case level == "#":
			return true
		case i == len(n) || n[i] == "#":
			return false
		case level != "+" && level != n[i]:
			return false
		}
	}
	return len(w) == len(n)
}
