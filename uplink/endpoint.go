package uplink

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// checkURL accepts absolute http and https URLs. It never repeats the URL,
// which may hold a key.
func checkURL(name, raw string) (string, error) {
	if raw == "" {
		return "", mistake(name, "is missing; give one such as https://central.example/events")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "", mistake(name, "cannot be read as a URL; give one such as https://central.example/events")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "", mistake(name, "must begin with http:// or https:// and name a host")
	case !validPort(u.Port()):
		return "", mistake(name, "has a port that is none; give one from 1 to 65535, or none")
	case u.User != nil:
		return "", mistake(name, "holds a user or password; give them as username and password")
	}
	u.Fragment, u.RawFragment = "", ""
	return u.String(), nil
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

func staticHeaders(lines, reserved []string) (http.Header, error) {
	reserved = append([]string{"host", "content-length", "transfer-encoding", "connection"}, reserved...)
	h := http.Header{"User-Agent": {"skerry"}}
	given := map[string]bool{}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || !validName(name) { // it is not repeated: it may be a value
			return nil, mistake("headers", "hold a line that is not of the form \"Name: value\"")
		}
		if !validValue(value) {
			return nil, mistake("headers", "hold %.40q, whose value is not of the form of one line without control characters", name)
		}
		lower := strings.ToLower(name)
		if slices.ContainsFunc(reserved, func(r string) bool {
			return r == lower || strings.HasSuffix(r, "-") && strings.HasPrefix(lower, r)
		}) {
			return nil, mistake("headers", "hold %s, which the target sets itself; remove it", name)
		}
		if !given[lower] { // what is configured replaces a default
			h.Del(name)
			given[lower] = true
		}
		h.Add(name, value)
	}
	return h, nil
}
