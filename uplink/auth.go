package uplink

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// auth proves to the far side who sends a request. It may be used by many
// goroutines.
type auth interface {
	// apply completes r, whose body and URL are final. The error is an *Error.
	apply(ctx context.Context, r *outgoing) error
	// again looks at the 401 or 403 that r got and tells whether apply would do
	// better now: a token was refused before its time, or a clock was set.
	again(r *outgoing, a *answer) bool
	// header is the one that apply sets and nobody else may, "" for none.
	header() string
	// secrets are what must not be shown, even if the far side repeats it.
	secrets() []string
	// note says what people should know of the credentials, "" for nothing.
	note() string
}

// outgoing is what apply completes.
type outgoing struct {
	method, url string
	header      http.Header
	body        []byte
}

// The options of credentials, of kinds that leave the choice.
const authOptions = " auth auth_header username password token secret token_url client_id scope audience"

// authUses lists what each way uses, the needed ones first and "|" before the rest.
var authUses = map[string]string{
	"none":   "",
	"basic":  "username|password",
	"bearer": "token|",
	"header": "auth_header token|",
	"oauth2": "token_url client_id secret|scope audience",
	"hmac":   "secret|auth_header",
}

// newAuth reads what the configuration says. The way is told from what is given
// where auth is not set.
func newAuth(c *TargetConfig, s *sender) (auth, error) {
	way := c.Auth
	switch {
	case way != "":
	case c.Username != "" || c.Password+c.PasswordFile != "":
		way = "basic"
	case c.Token+c.TokenFile != "":
		way = "bearer"
	default:
		way = "none"
	}
	uses, known := authUses[way]
	if !known {
		return nil, mistake("auth", "is none, basic, bearer, header, oauth2 or hmac, not %q (a client certificate is cert_file and key_file, beside any of them)", way)
	}
	if err := checkAuth(c, way, uses); err != nil {
		return nil, err
	}
	switch way {
	case "basic":
		return newBasic(c)
	case "bearer":
		return newHeaderToken(c, "Authorization", "Bearer ")
	case "header":
		return newHeaderToken(c, c.AuthHeader, "")
	case "oauth2":
		return newOAuth(c, s)
	case "hmac":
		return newHMAC(c)
	}
	return noAuth{}, nil
}

// checkAuth compares what is given with what the way uses.
func checkAuth(c *TargetConfig, way, uses string) error {
	needed, more, _ := strings.Cut(uses, "|")
	all := append(strings.Fields(needed), strings.Fields(more)...)
	var errs []error
	given := c.given()
	for _, opt := range strings.Fields(authOptions)[1:] {
		switch set := slices.Contains(given, opt); {
		case set && !slices.Contains(all, opt):
			errs = append(errs, mistake(opt, "is not for auth %s; remove it, or choose another auth", way))
		case !set && slices.Contains(strings.Fields(needed), opt):
			errs = append(errs, mistake(opt, "is missing; auth %s needs it", way))
		}
	}
	if c.AuthHeader != "" && !validName(c.AuthHeader) {
		errs = append(errs, mistake("auth_header", "%.40q is no name of a header", c.AuthHeader))
	}
	return errors.Join(errs...)
}

type noAuth struct{}

func (noAuth) apply(context.Context, *outgoing) error { return nil }
func (noAuth) again(*outgoing, *answer) bool          { return false }
func (noAuth) header() string                         { return "" }
func (noAuth) secrets() []string                      { return nil }
func (noAuth) note() string                           { return "" }

// headerToken is a credential in a header.
type headerToken struct {
	name   string // of the header
	value  func(credential string) string
	from   *fresh[string]
	option string
}

// newHeaderToken sends the option token in a header, behind prefix.
func newHeaderToken(c *TargetConfig, name, prefix string) (auth, error) {
	token, err := newSecret("token", c.Token, c.TokenFile, inHeader)
	if err != nil {
		return nil, err
	}
	if token == nil {
		return noAuth{}, nil
	}
	return &headerToken{name, func(t string) string { return prefix + t }, token, "token"}, nil
}

func newBasic(c *TargetConfig) (auth, error) {
	if strings.Contains(c.Username, ":") {
		return nil, mistake("username", "must hold no colon")
	}
	password, err := newSecret("password", c.Password, c.PasswordFile, nil)
	if err != nil {
		return nil, err
	}
	if password == nil { // it is empty
		password = &fresh[string]{make: func() (string, error) { return "", nil }}
	}
	value := func(p string) string { return basic(c.Username + ":" + p) }
	return &headerToken{"Authorization", value, password, "password"}, nil
}

// basic is a pair of name and password, joined by a colon.
func basic(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }

func (t *headerToken) apply(_ context.Context, r *outgoing) error {
	r.header.Set(t.name, t.value(t.from.get()))
	return nil
}

// again tells whether the file was replaced meanwhile.
func (t *headerToken) again(r *outgoing, _ *answer) bool {
	return r.header.Get(t.name) != t.value(t.from.get())
}

func (t *headerToken) header() string { return t.name }

func (t *headerToken) secrets() []string {
	value := t.from.get()
	_, last, _ := strings.Cut(t.value(value), " ")
	return []string{value, last}
}

func (t *headerToken) note() string { return noteOf(t.option+"_file", t.from) }

// noteOf is the note of a credential, nil included.
func noteOf[T any](option string, f *fresh[T]) string {
	if f == nil || f.note() == "" {
		return ""
	}
	return option + ": " + f.note()
}
