package powercut

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// The part of the NBD protocol that qemu needs: newstyle negotiation of one
// export, simple replies, reads, writes and flushes.
const (
	nbdMagic       = 0x4e42444d41474943 // "NBDMAGIC"
	nbdOption      = 0x49484156454f5054 // "IHAVEOPT"
	nbdOptionReply = 0x0003e889045565a9
	nbdRequest     = 0x25609513
	nbdReply       = 0x67446698

	nbdNewstyle    = 1 | 2 // fixed newstyle, no zeroes
	nbdExportName  = 1     // option
	nbdUnsupported = 1<<31 | 1

	nbdHasFlags  = 1 << 0 // transmission flags
	nbdSendFlush = 1 << 2

	nbdRead, nbdWrite, nbdDisconnect, nbdFlush = 0, 1, 2, 3

	nbdIOError = 5
	nbdMaximum = 64 << 20 // bytes of one request
)

var errDisconnected = errors.New("the client has said goodbye")

// serveNBD serves one connection until it ends.
func serveNBD(c net.Conn, d *Disk) error {
	rw := bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c))
	if err := greet(rw, d.size); err != nil {
		return err
	}
	for {
		if err := answer(rw, d); err != nil {
			return err
		}
		if rw.Reader.Buffered() > 0 {
			continue // more requests are here: one packet for all answers
		}
		if err := rw.Flush(); err != nil {
			return err
		}
	}
}

// greet negotiates: every option but the name of the export is refused.
func greet(rw *bufio.ReadWriter, size int64) error {
	b := binary.BigEndian.AppendUint64(nil, nbdMagic)
	b = binary.BigEndian.AppendUint64(b, nbdOption)
	if err := send(rw, binary.BigEndian.AppendUint16(b, nbdNewstyle)); err != nil {
		return err
	}
	var flags [4]byte
	if _, err := io.ReadFull(rw, flags[:]); err != nil {
		return err
	}
	for {
		var head [16]byte // magic, option, length
		if _, err := io.ReadFull(rw, head[:]); err != nil {
			return err
		}
		option := binary.BigEndian.Uint32(head[8:])
		if _, err := rw.Discard(int(binary.BigEndian.Uint32(head[12:]))); err != nil {
			return err
		}
		if option == nbdExportName {
			b := binary.BigEndian.AppendUint64(nil, uint64(size))
			return send(rw, binary.BigEndian.AppendUint16(b, nbdHasFlags|nbdSendFlush))
		}
		b := binary.BigEndian.AppendUint64(nil, nbdOptionReply)
		b = binary.BigEndian.AppendUint32(b, option)
		b = binary.BigEndian.AppendUint32(b, nbdUnsupported)
		if err := send(rw, binary.BigEndian.AppendUint32(b, 0)); err != nil {
			return err
		}
	}
}

func send(rw *bufio.ReadWriter, b []byte) error {
	if _, err := rw.Write(b); err != nil {
		return err
	}
	return rw.Flush()
}

// answer carries out one request.
func answer(rw *bufio.ReadWriter, d *Disk) error {
	var head [28]byte // magic, flags, type, handle, offset, length
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return err
	}
	offset, n := int64(binary.BigEndian.Uint64(head[16:])), binary.BigEndian.Uint32(head[24:])
	if binary.BigEndian.Uint32(head[:]) != nbdRequest || n > nbdMaximum {
		return fmt.Errorf("no request of NBD: %x", head)
	}
	var data []byte
	var err error
	switch kind := binary.BigEndian.Uint16(head[6:]); kind {
	case nbdRead:
		data = make([]byte, n)
		err = d.read(data, offset)
	case nbdWrite:
		b := make([]byte, n)
		if _, err := io.ReadFull(rw, b); err != nil {
			return err
		}
		err = d.write(b, offset)
	case nbdFlush:
		err = d.flush()
	case nbdDisconnect:
		return errDisconnected
	default:
		return fmt.Errorf("request %d was never offered", kind)
	}
	code := uint32(0)
	if err != nil {
		code, data = nbdIOError, nil
	}
	reply := binary.BigEndian.AppendUint32(nil, nbdReply)
	reply = binary.BigEndian.AppendUint32(reply, code)
	reply = append(reply, head[8:16]...)
	if _, err := rw.Write(append(reply, data...)); err != nil {
		return err
	}
	return nil
}
