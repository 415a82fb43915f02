package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// hidden stands in the place of what nobody else should see.
const hidden = "…hidden…"

// secretKeys are the keys of the configuration whose values are credentials, or may hold
// some.
var secretKeys = []string{
	"password", "token", "secret", "secret_access_key", "access_key_id", "session_token", "headers", "env", "command", "credential_command",
	"will_payload", "client_id",
}

// redactor takes secrets out of texts: those that it knows, wherever they stand, and
// what looks like one.
type redactor struct {
	known  []string // the longest first
	filled *strings.Replacer
}

// newRedactor knows the credentials that the settings, the files that they name, the
// identity in the data directory and the environment hold.
func newRedactor(given map[string]any, base, data string) *redactor {
	r := &redactor{}
	r.learnSettings(given, "", base)
	for _, name := range []string{identityPassword, identityKey, identityRegistry} {
		r.learnFile(filepath.Join(data, identityDir, name))
	}
	for _, pair := range os.Environ() {
		if name, value, _ := strings.Cut(pair, "="); strings.HasSuffix(strings.ToLower(name), "_proxy") {
			r.learnURL(value)
		}
	}
	slices.SortFunc(r.known, func(a, b string) int { return len(b) - len(a) })
	r.known = slices.Compact(r.known)
	var pairs []string
	for _, k := range r.known {
		pairs = append(pairs, k, hidden)
	}
	r.filled = strings.NewReplacer(pairs...)
	return r
}

const minSecret = 4 // bytes: shorter ones are in every text

// learn adds a secret as it may stand in a text: as it is, in a URL, in JSON, as
// somebody's password in a header.
func (r *redactor) learn(secret string) {
	secret = strings.TrimSpace(secret)
	if len(secret) < minSecret {
		return
	}
	quoted, err := json.Marshal(secret)
	if err == nil {
		r.known = append(r.known, strings.Trim(string(quoted), `"`))
	}
	r.known = append(r.known, secret, url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)))
}

// learnSettings learns what stands under secret keys, in URLs and in files.
func (r *redactor) learnSettings(v any, key, base string) {
	switch v := v.(type) {
	case map[string]any:
		user, isText := v["username"].(string)
		if password, ok := v["password"].(string); ok && isText {
			r.learn(user + ":" + password)
		}
		for k, value := range v {
			if _, isList := value.([]any); k == "env" && !isList { // of a secret: the name of a variable
				if name, ok := value.(string); ok && key == "secrets" {
					r.learn(os.Getenv(name))
				}
				continue
			}
			if k == "credential" && key == "secrets" {
				r.learnFile(filepath.Join(os.Getenv(credentialsDir), fmt.Sprint(value)))
			}
			r.learnSettings(value, k, base)
		}
	case []any:
		for _, value := range v {
			r.learnSettings(value, key, base)
		}
	case nil:
	default:
		text := fmt.Sprint(v)
		switch {
		case strings.HasSuffix(key, "_file") && !publicFile(key) || key == "file":
			r.learnFile(resolvePath(base, text))
		case key == "env" || key == "headers":
			_, value, _ := strings.Cut(strings.Replace(text, ":", "=", 1), "=")
			r.learn(text)
			r.learn(value)
		case key == "command" || key == "credential_command":
			for _, word := range strings.Fields(text) {
				if !strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "/") && len(word) >= 8 { // no word of a language
					r.learn(word)
				}
			}
		case slices.Contains(secretKeys, key):
			r.learn(text)
		case strings.Contains(text, "://"):
			r.learnURL(text)
		}
	}
}

func publicFile(key string) bool {
	return slices.Contains([]string{"ca_file", "client_ca_file", "cert_file", "root_file", "broker_ca_file"}, key)
}

// longPart is how long a part of a path may be before it may be a key.
const longPart = 16

// learnURL learns the password, the query and long parts of the path of a URL.
func (r *redactor) learnURL(text string) {
	u, err := url.Parse(text)
	if err != nil {
		r.learn(text)
		return
	}
	if password, ok := u.User.Password(); ok {
		r.learn(password)
		r.learn(u.User.Username() + ":" + password)
	}
	for _, values := range u.Query() {
		for _, value := range values {
			r.learn(value)
		}
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		if len(part) >= longPart {
			r.learn(part)
		}
	}
}

// learnFile learns the lines of a file, and what stands behind = and : in them. A file
// that cannot be read has nothing in it that could have come anywhere.
func (r *redactor) learnFile(path string) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxCredential {
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		r.learn(line)
		if i := strings.IndexAny(line, "=:"); i >= 0 {
			r.learn(strings.Trim(line[i+1:], ` "',`))
		}
	}
}

// suspects are what looks like a credential, with what may stay of it.
var suspects = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), hidden},
	{regexp.MustCompile(`(://)[^/\s"'@]*@`), "${1}" + hidden + "@"},
	{regexp.MustCompile(`(?i)\b(bearer|basic) +[a-z0-9+/=._~-]{8,}`), "$1 " + hidden},
	{regexp.MustCompile(`(?i)((?:password|passwd|passphrase|token|secret|api_?-?key|access_key|authorization)\\?["']?\s*[:=]\s*\\?["']?)[^\s"',;{}\[\]\\]{4,}`), "${1}" + hidden},
	{regexp.MustCompile(`\b(AKIA|ASIA)[A-Z0-9]{12,}`), hidden},
}

// text takes secrets out of a text.
func (r *redactor) text(data []byte) []byte {
	out := r.filled.Replace(string(data))
	for _, s := range suspects {
		out = s.what.ReplaceAllString(out, s.with)
	}
	return []byte(out)
}

// settings are the configuration's, without values of secret keys, of keys that there
// are none of, and without what URLs hold beside where they go.
func (r *redactor) settings(given map[string]any) any {
	return redactStruct(given, reflect.TypeFor[Config]())
}

func redactStruct(v any, t reflect.Type) any {
	section, ok := v.(map[string]any)
	if !ok {
		return hidden + " (no section)"
	}
	fields, known := structFields(t), structKeys(t)
	out := map[string]any{}
	for k, value := range section {
		i := slices.Index(known, k)
		if i < 0 {
			out[keyWord(k)] = hidden + " (there is no such key)"
			continue
		}
		out[k] = redactValue(value, fields[i].Type, k, t)
	}
	return out
}

// keyWord keeps a key that is no word from being shown.
func keyWord(key string) string {
	if names.MatchString(key) && len(key) < longPart {
		return key
	}
	return "…"
}

func redactValue(v any, t reflect.Type, key string, of reflect.Type) any {
	secret := slices.Contains(secretKeys, key) && (of != reflect.TypeFor[SecretConfig]() || key != "env")
	switch {
	case v == nil:
		return nil
	case secret:
		return hidden
	case t.Kind() == reflect.Struct:
		return redactStruct(v, t)
	case t.Kind() == reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		out := make([]any, len(list))
		for i, value := range list {
			out[i] = redactValue(value, t.Elem(), key, of)
		}
		return out
	}
	switch v := v.(type) {
	case map[string]any, []any:
		return hidden + " (no value)"
	case string:
		if strings.Contains(v, "://") {
			return redactURL(v)
		}
		return v
	default:
		return v
	}
}

// redactURL leaves of a URL where it goes: no credentials, no query, no long part of
// the path.
func redactURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return hidden
	}
	if u.User != nil {
		u.User = url.User("hidden")
	}
	if u.RawQuery != "" {
		u.RawQuery = "hidden"
	}
	parts := strings.Split(u.Path, "/")
	for i, part := range parts {
		if len(part) >= longPart && !strings.Contains(part, ":") { // repository:tag of a registry
			parts[i] = "hidden"
		}
	}
	u.Path, u.RawPath, u.Fragment = strings.Join(parts, "/"), "", ""
	return u.String()
}
