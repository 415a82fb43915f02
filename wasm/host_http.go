package wasm

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/skerry-edge/skerry/agent"
	"github.com/tetratelabs/wazero/api"
)

// What a guest may send in one request.
const (
	maxRequest   = 256 << 10 // bytes, header and body
	maxHead      = 64 << 10
	maxHeadLines = 100
)

// httpRequest (request, len, buf, cap) -> length of the answer. An answer that
// did not fit is given again when len is 0.
func httpRequest(r *run, mem api.Memory, args []uint64) int64 {
	text, ok := take(mem, args)
	if !ok {
		return errnoInvalid
	}
	if len(text) > 0 {
		if n := r.fetch(text); n != 0 {
			return n
		}
	}
	if r.answer == nil {
		return errnoInvalid
	}
	return give(mem, args[2:], r.answer)
}

// fetch makes the request and keeps its answer.
func (r *run) fetch(text []byte) int64 {
	if len(text) > maxRequest {
		return errnoLimit
	}
	req, err := parseRequest(text)
	r.check() // a request of many short lines takes its time
	if err != nil {
		r.refuse("http: " + err.Error())
		return errnoInvalid
	}
	ctx, cancel := context.WithDeadline(r.parent, epoch.Add(r.deadline))
	defer cancel()
	res, err := r.inv.Fetch(ctx, req)
	r.check()
	if err != nil {
		return r.errno(fmt.Errorf("http: %w", err))
	}
	r.answer = formatResponse(res)
	return 0
}

// parseRequest reads "METHOD URL\nName: value\n…\n\nbody"; lines may end in \r\n.
func parseRequest(text []byte) (*agent.HTTPRequest, error) {
	head, body, _ := bytes.Cut(text, []byte("\n\n"))
	if crlf := bytes.Index(text, []byte("\r\n\r\n")); crlf >= 0 && crlf < len(head) {
		head, body = text[:crlf], text[crlf+4:]
	}
	if len(head) > maxHead || bytes.Count(head, []byte("\n")) > maxHeadLines {
		return nil, fmt.Errorf("the header has more than %d bytes or %d lines", maxHead, maxHeadLines)
	}
	lines := strings.Split(string(head), "\n")
	method, target, ok := strings.Cut(strings.TrimSuffix(lines[0], "\r"), " ")
	if !ok || method == "" || target == "" {
		return nil, fmt.Errorf("the request begins with %.80q: want a method, a space and a URL", lines[0])
	}
	req := &agent.HTTPRequest{Method: method, URL: target, Body: body}
	for _, line := range lines[1:] {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" {
			return nil, fmt.Errorf("the header line %.80q: want a name, a colon and a value", line)
		}
		req.Header = append(req.Header, agent.HTTPField{Name: name, Value: strings.TrimSpace(value)})
	}
	return req, nil
}

// formatResponse is the counterpart: "STATUS\nName: value\n…\n\nbody".
func formatResponse(res *agent.HTTPResponse) []byte {
	var b bytes.Buffer
	b.WriteString(strconv.Itoa(res.Status))
	b.WriteByte('\n')
	for _, f := range res.Header {
		b.WriteString(f.Name)
		b.WriteString(": ")
		b.WriteString(f.Value)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	b.Write(res.Body)
	return b.Bytes()
}
