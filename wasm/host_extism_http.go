package wasm

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
	"github.com/tetratelabs/wazero/api"
)

// plugAnswer is the last answer to http_request.
type plugAnswer struct {
	status int
	header []agent.HTTPField
}

// plugRequest is http_request(request as JSON, body or 0) -> body of the answer.
// As for Extism, a request that is refused or has no answer ends the run.
func plugRequest(r *run, mod api.Module, stack []uint64) {
	text := r.block("http_request", stack[0])
	var body []byte
	if stack[1] != 0 {
		body = r.block("http_request", stack[1])
	}
	if n := len(text) + len(body); n > maxRequest {
		r.failed("http_request", fmt.Errorf("%d bytes, at most %d: %w", n, maxRequest, agent.ErrLimit))
	}
	req, err := parsePlugRequest(text)
	if err != nil {
		r.failed("http_request", err)
	}
	req.Body = body
	ctx, cancel := context.WithDeadline(r.parent, epoch.Add(r.deadline))
	defer cancel()
	res, err := r.inv.Fetch(ctx, req)
	r.check()
	if err != nil {
		r.failed("http_request", err)
	}
	r.plug.answer = plugAnswer{res.Status, res.Header}
	stack[0] = hand(r, mod, res.Body)
}

// parsePlugRequest reads {"url": …, "method": "GET" if absent, "headers": {…}}.
func parsePlugRequest(text []byte) (*agent.HTTPRequest, error) {
	var in struct {
		URL     string            `json:"url"`
		Method  string            `json:"method"`
		Headers map[string]string `json:"headers"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, fmt.Errorf(`read the request: %w; want {"url": "https://…", "method": "GET", "headers": {}}`, err)
	}
	req := &agent.HTTPRequest{Method: in.Method, URL: in.URL}
	if req.Method == "" {
		req.Method = "GET"
	}
	for _, name := range slices.Sorted(maps.Keys(in.Headers)) {
		req.Header = append(req.Header, agent.HTTPField{Name: name, Value: in.Headers[name]})
	}
	return req, nil
}

func plugStatus(r *run, _ api.Module, stack []uint64) { stack[0] = uint64(r.plug.answer.status) }

// plugHeaders gives the header of the last answer as a JSON object: names in
// lower case, values of one name joined by commas; 0 before the first answer.
func plugHeaders(r *run, mod api.Module, stack []uint64) {
	r.check()
	if r.plug.answer.status == 0 {
		stack[0] = 0
		return
	}
	header := map[string]string{}
	for _, f := range r.plug.answer.header {
		name := strings.ToLower(f.Name)
		if value, ok := header[name]; ok {
			header[name] = value + ", " + f.Value
			continue
		}
		header[name] = f.Value
	}
	text, err := json.Marshal(header)
	if err != nil {
		r.failed("http_headers", err)
	}
	stack[0] = hand(r, mod, text)
}
