package fleetsync

import (
	"slices"
	"strings"
)

// MissingGrants are the imports of a module that its function is granted nothing
// for, each with what to add, as YAML. Publish refuses the app for them.
func MissingGrants(fn *AppFunction, imports []string) map[string]string {
	missing := map[string]string{}
	for _, g := range grants {
		if slices.Contains(imports, g.imported) && g.list(fn) == nil {
			missing[g.imported] = g.example
		}
	}
	return missing
}

// UnusedGrants are the entries of fn, by their key, that grant what a module does
// not import, and so never asks for.
func UnusedGrants(fn *AppFunction, imports []string) map[string][]string {
	unused := map[string][]string{}
	for _, g := range grants {
		if slices.Contains(imports, g.imported) {
			continue
		}
		for _, entry := range g.list(fn) {
			if strings.HasPrefix(entry, g.prefix) {
				unused[g.key] = append(unused[g.key], entry)
			}
		}
	}
	return unused
}
