package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// marksIn lists what a block remembers.
func marksIn(block []byte) []string {
	var all []string
	eachMark(block, func(place byte, m mark, _ []byte) {
		all = append(all, fmt.Sprintf("%d:%d %s", place, m.trigger, m.id))
	})
	slices.Sort(all)
	return all
}

// A block keeps the marks of all triggers of the event that a slot holds now,
// and of its neighbours; those of the event before are over.
func TestBlocksOfMarks(t *testing.T) {
	var block []byte
	for _, step := range []struct {
		place byte
		mark  mark
		want  string
	}{
		{1, mark{7, 100, "a"}, "1:7 a"},
		{2, mark{7, 100, "b"}, "1:7 a, 2:7 b"},
		{1, mark{8, 100, "a"}, "1:7 a, 1:8 a, 2:7 b"},
		{1, mark{8, 100, "a"}, "1:7 a, 1:8 a, 2:7 b"},
		{1, mark{8, 101, "c"}, "1:8 c, 2:7 b"},
		{0, mark{9, 1, strings.Repeat("x", maxMarkID)}, "0:9 " + strings.Repeat("x", maxMarkID) + ", 1:8 c, 2:7 b"},
	} {
		before := slices.Clone(block)
		next := remember(block, step.place, step.mark)
		if got := strings.Join(marksIn(next), ", "); got != step.want {
			t.Errorf("after %v at %d: %s, want %s", step.mark, step.place, got, step.want)
		}
		if !slices.Equal(block, before) {
			t.Error("the block before was changed: an older group may still be writing it")
		}
		block = next
	}
	for n := range block {
		marksIn(block[:n]) // one that is cut must not end the agent
	}
}

func TestBlockOfASlot(t *testing.T) {
	for slot, want := range map[string]string{
		"plant/0": "plant/0 0", "plant/7": "plant/0 7", "plant/8": "plant/1 0", "plant/65535": "plant/8191 7",
		"site/client-1/17": "site/client-1/2 1", "odd": "odd 0", "odd/": "odd/ 0", "odd/x1": "odd/x1 0",
	} {
		key, place := blockOf(slot)
		if got := fmt.Sprint(key, " ", place); got != want {
			t.Errorf("%s is at %s, want %s", slot, got, want)
		}
	}
}
