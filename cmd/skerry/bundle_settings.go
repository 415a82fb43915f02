package main

import (
	"net/url"
	"reflect"
	"slices"
	"strings"
)

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

// shownPart is how long a part of a path may be before it is hidden.
const shownPart = 9

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
		if len(part) >= shownPart && u.Scheme != "oci" {
			parts[i] = "hidden"
		}
	}
	u.Path, u.RawPath, u.Fragment = strings.Join(parts, "/"), "", ""
	return u.String()
}
