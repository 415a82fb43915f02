package skerry

import (
	"bytes"
	"strconv"
	"strings"
)

// Request is an outbound HTTP request. It stands outside of the transaction: it
// happens at once, and again if the event is run again.
type Request struct {
	Method string // "" is GET
	URL    string // of a host in the function's permissions.http
	Header []HeaderLine
	Body   []byte
}

// Response is the answer to a Request.
type Response struct {
	Status int
	Header []HeaderLine
	Body   []byte
}

// HeaderLine is one line of a header.
type HeaderLine struct{ Name, Value string }

// Get is the first header line with a name, in any case; "" if there is none.
func (r *Response) Get(name string) string {
	for _, h := range r.Header {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// Do makes an HTTP request. Every answer is one, whatever its status; ErrDenied
// if the function may not reach the host.
func Do(r *Request) (*Response, error) {
	req, err := r.text()
	if err != nil {
		return nil, err
	}
	b, n := read(make([]byte, 4<<10), func(b []byte) int32 {
		n := hostHTTP(req, b)
		req = nil // with no request the host gives the same answer again
		return n
	})
	if n < 0 {
		return nil, check("request to ", r.URL, n)
	}
	return parseResponse(b)
}

// text is "POST https://host/path\nName: value\n\nbody".
func (r *Request) text() ([]byte, error) {
	b := make([]byte, 0, len(r.URL)+len(r.Body)+64)
	method := r.Method
	if method == "" {
		method = "GET"
	}
	b = append(append(append(b, method...), ' '), r.URL...)
	for _, h := range r.Header {
		b = append(append(append(append(b, '\n'), h.Name...), ": "...), h.Value...)
	}
	if bytes.Count(b, []byte("\n")) != len(r.Header) || bytes.IndexByte(b, '\r') >= 0 {
		return nil, &worded{"request with a line break in its header to " + strconv.Quote(r.URL), ErrInvalid}
	}
	return append(append(b, "\n\n"...), r.Body...), nil
}

// parseResponse reads "200\nName: value\n\nbody"; the body stays where it is.
func parseResponse(b []byte) (*Response, error) {
	head, body, ok := bytes.Cut(b, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	status, err := strconv.Atoi(lines[0])
	if !ok || err != nil {
		return nil, &wrapped{"answer of the host that is none", "", ErrIO}
	}
	r := &Response{Status: status, Body: body}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		r.Header = append(r.Header, HeaderLine{name, value})
	}
	return r, nil
}
