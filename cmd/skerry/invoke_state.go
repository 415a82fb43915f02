package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/author"
)

// fileState is a function's state in a JSON file: an object whose values are
// texts, or {"base64": "…"} for what is no text. Values do not expire there.
type fileState struct{ values map[string][]byte }

type binaryValue struct {
	Base64 []byte `json:"base64"`
}

// openState reads the file at path. One that is not there is empty, and so is "".
func openState(path string) (*fileState, error) {
	s := &fileState{values: map[string][]byte{}}
	if path == "" {
		return s, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(text, &given); err != nil {
		return nil, fmt.Errorf("the state in %s is no JSON object, such as {\"count\": \"7\"}: %w", path, err)
	}
	for key, raw := range given {
		var value string
		var binary binaryValue
		switch {
		case json.Unmarshal(raw, &value) == nil && string(raw) != "null":
			s.values[key] = []byte(value)
		case json.Unmarshal(raw, &binary) == nil && binary.Base64 != nil:
			s.values[key] = binary.Base64
		default:
			return nil, fmt.Errorf(`the state in %s: %q is neither a text in quotes nor {"base64": "…"}`, path, key)
		}
	}
	return s, nil
}

// write keeps the state for the next time; "" keeps nothing.
func (s *fileState) write(path string) error {
	if path == "" {
		return nil
	}
	out := map[string]any{}
	for key, value := range s.values {
		if utf8.Valid(value) {
			out[key] = string(value)
		} else {
			out[key] = binaryValue{value}
		}
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err == nil {
		err = author.Replace(path, append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep the state: %w", err)
	}
	return nil
}

// apply is what the store does with the writes of a run that committed.
func (s *fileState) apply(writes []agent.Write) {
	for _, w := range writes {
		if w.Value == nil {
			delete(s.values, w.Key)
		} else {
			s.values[w.Key] = slices.Clone(w.Value)
		}
	}
}

// Used implements agent.Sized, for limits.state.
func (s *fileState) Used(shared bool) (size int64) {
	for key, value := range s.values {
		if strings.HasPrefix(key, "/") == shared {
			size += agent.StateSize(key, value)
		}
	}
	return size
}

// Get and Keys serve the one function there is.
func (s *fileState) Get(_, key string) ([]byte, error) { return s.values[key], nil }

func (s *fileState) Keys(_, prefix string, limit int) ([]string, error) {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		if strings.HasPrefix(key, prefix) && len(keys) < limit {
			keys = append(keys, key)
		}
	}
	return keys, nil
}
