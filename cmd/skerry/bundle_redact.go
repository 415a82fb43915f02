package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
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
	var doc any
	if json.Unmarshal(text, &doc) == nil {
		r.learnJSON(doc)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		r.learn(line)
		if i := strings.IndexAny(line, "=:"); i >= 0 {
			r.learn(strings.Trim(line[i+1:], ` "',`))
		}
	}
}

// learnJSON learns the texts of a document, such as docker's credentials or the key of
// a service account, but for short words and addresses.
func (r *redactor) learnJSON(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, value := range v {
			r.learnJSON(value)
		}
	case []any:
		for _, value := range v {
			r.learnJSON(value)
		}
	case string:
		if len(v) < 8 || strings.Contains(v, "://") || v == "service_account" {
			return
		}
		r.learn(v)
		if pair, err := base64.StdEncoding.DecodeString(v); err == nil {
			_, password, _ := strings.Cut(string(pair), ":")
			r.learn(password)
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
