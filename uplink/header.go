package uplink

import "strings"

const upperHex = "0123456789ABCDEF"

// encodeHeader makes any text a header value as the CloudEvents HTTP binding
// says (3.1.3.2): bytes outside printable ASCII, space, '"' and '%' become %XX.
func encodeHeader(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return mustEncode(r) }) {
		return s
	}
	var b strings.Builder
	for _, c := range []byte(s) {
		if mustEncode(rune(c)) {
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

func mustEncode(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '%' }

// validValue tells whether net/http will send s as a header value.
func validValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// validName tells whether s is a token (RFC 9110, 5.6.2).
func validName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		alnum := r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !alnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}
