package main

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
)

const envPrefix = "SKERRY_"

// commandEnv are variables of commands that need no configuration.
var commandEnv = []string{keysEnv, passphraseEnv, passphraseFileEnv}

const (
	keysEnv           = "SKERRY_KEYS"            // folder of a fleet's keys
	passphraseEnv     = "SKERRY_PASSPHRASE"      // of the keys
	passphraseFileEnv = "SKERRY_PASSPHRASE_FILE" // whose first line is that
)

// envKeys lists the keys that an environment variable can set: all that do not
// stand in a list of sections.
func envKeys() [][]string {
	var keys [][]string
	var walk func(t reflect.Type, path []string)
	walk = func(t reflect.Type, path []string) {
		for _, f := range structFields(t) {
			at, ft := append(slices.Clip(path), f.Tag.Get("key")), f.Type
			switch {
			case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct:
			case ft.Kind() == reflect.Struct:
				walk(ft, at)
			default:
				keys = append(keys, at)
			}
		}
	}
	walk(reflect.TypeFor[Config](), nil)
	return keys
}

// envName is the variable of a key: registry.plain_http is SKERRY_REGISTRY_PLAIN_HTTP.
func envName(key []string) string {
	return envPrefix + strings.ToUpper(strings.Join(key, "_"))
}

// putEnv lets the environment replace what the file says. A variable that is
// empty replaces nothing.
func putEnv(given map[string]any) {
	for _, key := range envKeys() {
		if value := os.Getenv(envName(key)); value != "" {
			put(given, key, value)
		}
	}
}

// warnAboutEnv warns of variables that look like ours and set nothing. It is no
// error: container systems invent such variables from the names of services.
func (c *Config) warnAboutEnv(environ []string) {
	known := make([]string, 0, 16)
	for _, key := range envKeys() {
		known = append(known, envName(key))
	}
	used := append(slices.Clone(known), commandEnv...)
	for _, s := range c.Secrets {
		used = append(used, s.Env)
	}
	slices.Sort(environ)
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, envPrefix) && !slices.Contains(used, name) {
			c.Warnings = append(c.Warnings, fmt.Sprintf("environment variable %s sets nothing; %s", name, suggest(name, known)))
		}
	}
}
