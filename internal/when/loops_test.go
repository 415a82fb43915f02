package when_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/internal/when"
)

// TestLoopsDoNotStallTheRouter has lists of the data looped over with much to ask of
// each element, in one loop or in many.
func TestLoopsDoNotStallTheRouter(t *testing.T) {
	many := func(what, op string) string { return strings.TrimSuffix(strings.Repeat(what+op, 33), op) }
	list := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("1,", n), ",") + "]" }
	for _, tt := range []struct {
		expr     string
		n        int // elements
		refusing bool
	}{
		{`any(data, # > 9)`, 130_000, false},
		{`any(data, #.t > 9)`, 130_000, false},
		{`any(data, ` + many(`# > 9`, " or ") + `)`, 7000, false}, // of 131 parts
		{`any(data, ` + many(`# > 9`, " or ") + `)`, 8000, true},
		{many(`any(data, # > 9)`, " or "), 7000, false}, // which expr makes one loop of,
		{many(`any(data, # > 9)`, " or "), 8000, true},
		{many(`all(data, # < 9)`, " and "), 11_000, true},
		{`count(data, ` + many(`# > 9`, " or ") + `) > 9`, 8000, true},
		{`sum(data, ` + many(`#`, " + ") + `) < 9`, 16_000, true},
		{`any(map(filter(data, # > 9), ` + many(`#`, " + ") + `), # > 9)`, 16_000, true},
		{`any(filter(data, # < 9), ` + many(`# > 9`, " or ") + `)`, 8000, true},
	} {
		p, err := compile(tt.expr)
		if err != nil {
			t.Errorf("%s: %v", tt.expr, err)
			continue
		}
		got, err := p.Match(terms(list(tt.n)))
		if got || (err != nil) != tt.refusing || tt.refusing && !strings.Contains(err.Error(), fmt.Sprint(tt.n, " elements")) {
			t.Errorf("%.60s on %d elements = %v, %v; refused: %v", tt.expr, tt.n, got, err, tt.refusing)
		}
	}
}

func TestLoopsOverTextsAreBounded(t *testing.T) {
	v, err := when.Language{}.Value(`count(data.text, # > 9 or # < 3)`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Value(terms(`{"text":"` + strings.Repeat("x", 200_000) + `"}`)); err == nil || !strings.Contains(err.Error(), "200000 elements") {
		t.Errorf("a loop over the bytes of a long text: %v", err)
	}
}

// What a loop over what a filter has left asks of it sees all that any loop sees.
func TestLoopsOverFilteredLists(t *testing.T) {
	p, err := compile(`any(map(filter(data, # > 1), topic), # == "site/7/temp/raw")`)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := p.Match(terms(`[1,2,3]`)); !ok || err != nil {
		t.Error(ok, err)
	}
}
