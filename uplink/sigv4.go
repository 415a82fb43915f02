package uplink

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const amzDate = "20060102T150405Z"

// signer makes AWS Signature Version 4 for one region and service.
type signer struct {
	credentials

	region, service string
}

// sign sets X-Amz-Date, X-Amz-Security-Token and Authorization. It signs the
// host, and of header Content-Type and everything that begins with X-Amz-. The
// header must not be changed afterwards.
func (s *signer) sign(method string, u *url.URL, header http.Header, body []byte, now time.Time) {
	stamp := now.UTC().Format(amzDate)
	header.Set("X-Amz-Date", stamp)
	if s.session != "" {
		header.Set("X-Amz-Security-Token", s.session)
	}
	request, names := canonicalRequest(method, u, header, body)
	scope := strings.Join([]string{stamp[:8], s.region, s.service, "aws4_request"}, "/")
	toSign := "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hexSHA256([]byte(request))
	header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+s.keyID+"/"+scope+
		", SignedHeaders="+names+", Signature="+hex.EncodeToString(mac(s.key(stamp[:8]), toSign)))
}

// keyOf is the key id that a request was signed with.
func keyOf(header http.Header) string {
	_, rest, _ := strings.Cut(header.Get("Authorization"), "Credential=")
	id, _, _ := strings.Cut(rest, "/")
	return id
}

func (s *signer) key(day string) []byte {
	key := mac([]byte("AWS4"+s.secret), day)
	for _, part := range []string{s.region, s.service, "aws4_request"} {
		key = mac(key, part)
	}
	return key
}

func canonicalRequest(method string, u *url.URL, header http.Header, body []byte) (request, names string) {
	values := map[string]string{"host": u.Host}
	for name, v := range header {
		lower := strings.ToLower(name)
		if lower == "content-type" || strings.HasPrefix(lower, "x-amz-") {
			values[lower] = strings.Join(strings.Fields(strings.Join(v, ",")), " ")
		}
	}
	signed := make([]string, 0, len(values))
	for name := range values {
		signed = append(signed, name)
	}
	slices.Sort(signed)
	names = strings.Join(signed, ";")
	var b strings.Builder
	b.WriteString(method + "\n" + canonicalPath(u) + "\n" + canonicalQuery(u) + "\n")
	for _, name := range signed {
		b.WriteString(name + ":" + values[name] + "\n")
	}
	b.WriteString("\n" + names + "\n" + hexSHA256(body))
	return b.String(), names
}

// canonicalPath encodes the path that goes over the wire once more, without its
// empty and dot segments, as every service but S3 wants it.
func canonicalPath(u *url.URL) string {
	path := u.EscapedPath()
	var parts []string
	for _, p := range strings.Split(path, "/") {
		switch {
		case p == "" || p == ".":
		case p != "..":
			parts = append(parts, rfc3986(p))
		case len(parts) > 0:
			parts = parts[:len(parts)-1]
		}
	}
	canonical := "/" + strings.Join(parts, "/")
	if len(parts) > 0 && strings.HasSuffix(path, "/") {
		canonical += "/"
	}
	return canonical
}

func canonicalQuery(u *url.URL) string {
	var pairs [][]string // name, value
	for name, values := range u.Query() {
		for _, v := range values {
			pairs = append(pairs, []string{rfc3986(name), rfc3986(v)})
		}
	}
	slices.SortFunc(pairs, slices.Compare) // by name first: "a" is before "a-b", "a-b=" before "a="
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p[0] + "=" + p[1])
	}
	return b.String()
}

// rfc3986 escapes everything but unreserved characters.
func rfc3986(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
	return b.String()
}

func mac(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
