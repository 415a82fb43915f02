package uplink

import (
	"errors"
	"math/bits"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bytes of headers on the wire, without those of Ethernet, PPP or LTE below.
const (
	ip4Header  = 20
	ip6Header  = 40
	tcpHeader  = 20
	timestamps = 12 // option of each segment, with padding
	synOptions = 20 // largest segment, timestamps, selective acknowledgements, window
	udpHeader  = 8
	usualMSS   = 1400

	tcpTimestamps = 1 // TCPI_OPT_TIMESTAMPS
)

// tcpState is what is known of a connection: what went through it, and what
// the system tells, if it does.
type tcpState struct {
	ip            int64         // bytes of the IP header
	written, read int64         // by us
	info          *unix.TCPInfo // nil: the system does not tell
	over          bool          // nothing is written any more
}

// wire is what the connection has taken of the link until now: all segments
// with their headers, whatever they carry, those that were sent again included.
// Not known are RSTs (40 bytes) and the longer headers of acknowledgements that
// tell of a loss.
func (s *tcpState) wire() (up, down int64) {
	if s.info == nil || s.info.Segs_out == 0 { // before Linux 4.2
		return estimate(s.ip, s.written, s.read)
	}
	in := s.info
	header, syn := s.ip+tcpHeader, int64(synOptions)
	if in.Options&tcpTimestamps != 0 {
		header, syn = header+timestamps, syn-timestamps
	}
	sent := int64(in.Bytes_sent)
	if sent == 0 { // before Linux 4.19
		sent = s.written + int64(in.Total_retrans)*int64(in.Snd_mss)
	}
	if !s.over {
		sent = max(sent, s.written) // the rest is on its way
	}
	up = sent + int64(in.Segs_out)*header + syn
	down = int64(in.Bytes_received) + int64(in.Segs_in)*header + syn
	if in.Bytes_received == 0 {
		down += s.read
	}
	return up, down
}

// estimate is for systems that tell nothing: opening and closing, full segments
// of data, and an acknowledgement for every second one.
func estimate(ip, written, read int64) (up, down int64) {
	header := ip + tcpHeader + timestamps
	out, in := written/usualMSS+1, read/usualMSS+1
	up = written + header*(out+in/2+4)
	down = read + header*(in+out/2+3)
	return up, down
}

// failedDial is what an attempt to connect took that came to nothing: SYNs,
// sent again after 1, 3, 7 … seconds.
func failedDial(err error, took time.Duration) (up, down int64) {
	const syn, reset = ip4Header + tcpHeader + synOptions, ip4Header + tcpHeader
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns): // what was asked is counted where it was asked
		return 0, 0
	case errors.Is(err, syscall.ECONNREFUSED):
		return syn, reset
	case errors.Is(err, syscall.EHOSTUNREACH), isTimeout(err), took >= time.Second:
		return syn * int64(bits.Len64(uint64(took/time.Second)+1)), 0
	}
	return 0, 0 // such as no network: nothing left the device
}
