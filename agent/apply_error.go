package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// LoadError says why a deployment was not applied: its loader refused some of
// the functions, or they did not start. All others of the deployment would run.
type LoadError struct {
	Causes map[string]error // by function
}

func (e *LoadError) Error() string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(e.Causes)) {
		texts = append(texts, fmt.Sprintf("load function %s: %v", name, e.Causes[name]))
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives the causes, in the order of their functions.
func (e *LoadError) Unwrap() []error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(e.Causes)) {
		errs = append(errs, e.Causes[name])
	}
	return errs
}
