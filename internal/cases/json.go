package cases

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// parseJSON reads data as one value of JSON, numbers as they are written.
func parseJSON(data []byte) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows the value")
	}
	return v, nil
}

// matcher compares values of JSON, and notes where they differ.
type matcher struct {
	part bool // of objects what is wanted may be less
	rows []Row
}

// mostRows is how many differences of one effect are told.
const mostRows = 20

func (m *matcher) differs(path, want, got string) {
	if len(m.rows) < mostRows {
		m.rows = append(m.rows, Row{path, want, got})
	}
}

func (m *matcher) compare(path string, want, got any) {
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			m.objects(path, w, g)
			return
		}
	case []any:
		if g, ok := got.([]any); ok {
			m.lists(path, w, g)
			return
		}
	}
	if !same(want, got) {
		m.differs(path, textOf(want), textOf(got))
	}
}

func (m *matcher) objects(path string, want, got map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if value, ok := got[key]; ok {
			m.compare(path+"."+key, want[key], value)
		} else {
			m.differs(path+"."+key, textOf(want[key]), "none")
		}
	}
	if m.part {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			m.differs(path+"."+key, "none", textOf(got[key]))
		}
	}
}

func (m *matcher) lists(path string, want, got []any) {
	if len(want) != len(got) {
		m.differs(path, fmt.Sprintf("%d items: %s", len(want), textOf(want)), fmt.Sprintf("%d items: %s", len(got), textOf(got)))
		return
	}
	for i := range want {
		m.compare(fmt.Sprintf("%s[%d]", path, i), want[i], got[i])
	}
}

// same compares what has no parts. 80 is 80.0.
func same(want, got any) bool {
	switch w := want.(type) {
	case json.Number:
		g, ok := got.(json.Number)
		return ok && sameNumber(w.String(), g.String())
	case string:
		g, ok := got.(string)
		return ok && w == g
	case bool:
		g, ok := got.(bool)
		return ok && w == g
	case nil:
		return got == nil
	}
	return false
}

func sameNumber(a, b string) bool {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errX != nil || errY != nil || x != y {
		return a == b
	}
	wholeA, errA := strconv.ParseInt(a, 10, 64)
	wholeB, errB := strconv.ParseInt(b, 10, 64)
	return errA != nil || errB != nil || wholeA == wholeB // beyond 2^53 floats are too coarse
}

// textOf is a value as JSON.
func textOf(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err.Error() // it came from JSON
	}
	return strings.TrimSuffix(b.String(), "\n")
}
