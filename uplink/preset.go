package uplink

import (
	"errors"
	"net/url"
	"strings"
)

// preset is what makes a target of one HTTP kind: where requests go, how an
// event is written and what answers mean. A kind is a function that makes one
// of its configuration; the zero value of a field is what most kinds want.
type preset struct {
	method   string                             // "" for POST
	url      string                             // all of it that is the same for each record
	path     string                             // template of the rest, behind the path of url
	reserved []string                           // headers that write sets: lower case, or a prefix that ends in "-"
	limit    int64                              // bytes of data that the far side takes; 0: not known
	write    func(*message) error               // sets body and header, nil: writeData; the error is an *Error
	join     func([]*message) (*message, error) // several as one; nil: the kind has no batches
	auth     auth                               // nil: of login, or else as the configuration says
	login    func(*sender) (auth, error)        // makes auth, where that sends requests of its own; may be nil
	class    func(*answer) (Class, string)      // nil: answer.class; the text is a hint for people
	retry    func(*answer, *message) bool       // tells whether m, as it changed it, is worth a second try at once; nil: never
	note     func() string                      // what people should know, "" for nothing; may be nil
}

// Options that HTTP kinds share; those of credentials are in auth.go.
const commonOptions = "url headers payload max_payload refused fn_error_statuses timeout ca_file cert_file key_file trace "

// httpKind is the row of an HTTP kind: the options it has beyond commonOptions.
func httpKind(uses string, makes func(*TargetConfig) (*preset, error)) kind {
	return kind{uses: commonOptions + uses, open: func(c TargetConfig) (Target, error) {
		p, err := makes(&c)
		if err != nil {
			return nil, err
		}
		return newHTTPTarget(&c, p)
	}}
}

// need complains about an option without a value.
func need(option, value, what string) error {
	if value == "" {
		return mistake(option, "is missing; give %s", what)
	}
	return nil
}

// oneOf complains about a value that is none of allowed, of which the first is
// the default.
func oneOf(option, value string, allowed ...string) (string, error) {
	if value == "" {
		return allowed[0], nil
	}
	for _, a := range allowed {
		if a == value {
			return a, nil
		}
	}
	return "", mistake(option, "is %s, not %q", strings.Join(allowed, " or "), value)
}

// What the option mode says: whether a function is waited for.
const (
	modeAsync = "async"
	modeSync  = "sync"
)

// place is the option url, or a default, with a path and a query behind it.
// What stands in query of the option stays.
func place(c *TargetConfig, fallback, path string, query ...string) (string, error) {
	raw := c.URL
	if raw == "" {
		raw = fallback
	}
	base, err := checkURL("url", raw)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(base)
	if err != nil {
		return "", mistake("url", "cannot be read")
	}
	if path != "" || c.Path != "" { // else a slash at its end stays
		joined, err := url.Parse(strings.TrimSuffix(u.EscapedPath(), "/") + path)
		if err != nil {
			return "", mistake("url", "cannot be read")
		}
		u.Path, u.RawPath = joined.Path, joined.RawPath
	}
	u.RawQuery = strings.Trim(u.RawQuery+"&"+strings.Join(query, "&"), "&")
	return u.String(), nil
}

// escapeName escapes each part between slashes of a name that people chose.
func escapeName(option, name string) (string, error) {
	parts := strings.Split(name, "/")
	var errs []error
	for i, p := range parts {
		if p == "" || p == "." || p == ".." {
			errs = append(errs, mistake(option, "%q is no name: it has an empty part, or a part that is only dots", name))
		}
		parts[i] = rfc3986(p)
	}
	return strings.Join(parts, "/"), errors.Join(errs...)
}
