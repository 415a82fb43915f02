package sensors

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// joinNotes makes one line of what a person should know.
func joinNotes(err error, notes ...string) string {
	if err != nil {
		notes = append([]string{err.Error()}, notes...)
	}
	notes = slices.DeleteFunc(notes, func(s string) bool { return s == "" })
	return strings.Join(notes, "; ")
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
