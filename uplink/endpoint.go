package uplink

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// newEndpoint checks options; reserved are lower-case header names, or
// prefixes that end in "-", that the target sets itself.
func newEndpoint(opts HTTPOptions, reserved ...string) (ep endpoint, err error) {
	ep.method = strings.ToUpper(opts.Method)
	switch ep.method {
	case "":
		ep.method = http.MethodPost
	case http.MethodPost, http.MethodPut:
	default:
		return ep, fmt.Errorf("method %q is not known; use POST or PUT", opts.Method)
	}
	if ep.url, err = checkURL("url", opts.URL); err != nil {
		return ep, err
	}
	if ep.header, err = staticHeaders(opts.Headers, reserved); err != nil {
		return ep, err
	}
	if err = authorize(ep.header, opts); err != nil {
		return ep, err
	}
	ep.sender, err = newSender(tlsFiles{opts.CAFile, opts.CertFile, opts.KeyFile}, opts.Timeout)
	return ep, err
}

// checkURL accepts absolute http and https URLs. It never repeats the URL,
// which may hold a key.
func checkURL(name, raw string) (string, error) {
	if raw == "" {
		return "", fmt.Errorf("%s is missing; give one such as https://central.example/events", name)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s cannot be read as a URL; give one such as https://central.example/events", name)
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "", fmt.Errorf("%s must begin with http:// or https:// and name a host", name)
	case u.User != nil:
		return "", fmt.Errorf("%s holds a user or password; give them as username and password", name)
	}
	u.Fragment, u.RawFragment = "", ""
	return u.String(), nil
}

func staticHeaders(lines, reserved []string) (http.Header, error) {
	reserved = append([]string{"host", "content-length", "transfer-encoding", "connection"}, reserved...)
	h := http.Header{"User-Agent": {"skerry"}}
	given := map[string]bool{}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || !validName(name) || !validValue(value) {
			return nil, fmt.Errorf("header %q is not of the form \"Name: value\"", name)
		}
		lower := strings.ToLower(name)
		if slices.ContainsFunc(reserved, func(r string) bool {
			return r == lower || strings.HasSuffix(r, "-") && strings.HasPrefix(lower, r)
		}) {
			return nil, fmt.Errorf("header %s is set by the target itself; remove it from headers", name)
		}
		if !given[lower] { // what is configured replaces a default
			h.Del(name)
			given[lower] = true
		}
		h.Add(name, value)
	}
	return h, nil
}

func authorize(h http.Header, opts HTTPOptions) error {
	basic := opts.Username != "" || opts.Password != ""
	switch {
	case basic && opts.Token != "":
		return errors.New("username and token exclude each other; give one of them")
	case (basic || opts.Token != "") && h.Get("Authorization") != "":
		return errors.New("headers hold Authorization beside username or token; give one of them")
	case basic && (opts.Username == "" || strings.Contains(opts.Username, ":")):
		return errors.New("username must be given with password, and must hold no colon")
	case !validValue(opts.Token):
		return errors.New("token holds characters that a header cannot carry")
	case basic:
		pair := opts.Username + ":" + opts.Password
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	case opts.Token != "":
		h.Set("Authorization", "Bearer "+opts.Token)
	}
	return nil
}
