package agent

import (
	"slices"
	"strings"
)

// told is a secret that a function was given.
type told struct{ name, value string }

const (
	maxTold = 32 // of one instance, so that values that change again and again fill no memory
	minMask = 4  // bytes: shorter ones stand in too much that is no secret
)

// tell remembers what the function was given, for mask. It is kept from run to
// run, as a warm instance may keep it.
func (inv *Invocation) tell(name, value string) {
	t := told{name, value}
	if len(value) < minMask || slices.Contains(inv.told, t) {
		return
	}
	if len(inv.told) == maxTold {
		inv.told = inv.told[1:]
	}
	inv.told = append(inv.told, t)
}

// mask takes the values of secrets that the function was given out of what it
// says to people. What it does to a value first, such as base64, is not seen.
func (inv *Invocation) mask(text string) string {
	for _, t := range inv.told {
		text = strings.ReplaceAll(text, t.value, "[secret "+t.name+"]")
	}
	return text
}
