package probe

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// Packet types, as the high half of a packet's first byte.
const (
	typeConnect    = 1 << 4
	typeConnack    = 2 << 4
	typePublish    = 3 << 4
	typeSubscribe  = 8<<4 | 2 // with its flags
	typeSuback     = 9 << 4
	typePing       = 12 << 4
	typePong       = 13 << 4
	typeDisconnect = 14 << 4

	typeMask = 0xf0
)

// maxPacket is the largest packet that is looked at, bytes; larger ones are skipped.
const maxPacket = 64 << 10

var errMalformed = errors.New("the broker sent what is no MQTT")

// appendPacket appends a packet of the type with its body.
func appendPacket(b []byte, first byte, body []byte) []byte {
	b = append(b, first)
	return append(binary.AppendUvarint(b, uint64(len(body))), body...)
}

func appendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
}

// readPacket gives the next packet; of one that is too large an empty body.
func readPacket(r *bufio.Reader) (first byte, body []byte, err error) {
	if first, err = r.ReadByte(); err != nil {
		return 0, nil, err
	}
	var size, shift uint
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		if size |= uint(b&0x7f) << shift; b < 0x80 {
			break
		}
		if shift += 7; shift > 21 {
			return 0, nil, errMalformed
		}
	}
	if size > maxPacket {
		_, err := r.Discard(int(size))
		return first, nil, err
	}
	body = make([]byte, size)
	_, err = io.ReadFull(r, body)
	return first, body, err
}

// message takes a PUBLISH of QoS 0 or 1 apart.
func message(first byte, body []byte) (topic string, data []byte, ok bool) {
	if len(body) < 2 {
		return "", nil, false
	}
	n := int(binary.BigEndian.Uint16(body))
	if body = body[2:]; len(body) < n {
		return "", nil, false
	}
	topic, data = string(body[:n]), body[n:]
	if first&6 != 0 { // the id of the packet
		if len(data) < 2 {
			return "", nil, false
		}
		data = data[2:]
	}
	return topic, data, true
}
