package testbed

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ledger is what arrived on one way out.
type ledger struct {
	times map[int]int    // how often each number came
	open  map[int]bool   // numbers that were acknowledged and have not come
	last  map[string]int // by key, the highest number yet
	wrong []string       // what must not be
	total int
}

func newLedger() ledger {
	return ledger{times: map[int]int{}, open: map[int]bool{}, last: map[string]int{}}
}

// expect notes that number n must come, if it has not.
func (l *ledger) expect(n int) {
	if l.times[n] == 0 {
		l.open[n] = true
	}
}

// add books number n of a key. A number may come again; one that comes for the
// first time must be above all that came before.
func (l *ledger) add(way, key string, n int) {
	l.total++
	l.times[n]++
	delete(l.open, n)
	if l.times[n] > 1 {
		return
	}
	if last, ok := l.last[key]; ok && n < last && len(l.wrong) < 10 {
		l.wrong = append(l.wrong, fmt.Sprintf("%s of key %s: %d came for the first time behind %d", way, key, n, last))
	}
	l.last[key] = max(l.last[key], n)
}

// missing tells what has not arrived yet; it is asked often, and cheap.
func (p *Plant) missing() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	outs := p.outs.open
	if !p.listens {
		outs = nil
	}
	if len(p.ups.open)+len(outs) > 0 {
		return fmt.Errorf("of %d acknowledged numbers, %d have no follow-up and %d no publish", len(p.acked), len(p.ups.open), len(outs))
	}
	return nil
}

// Audit tells what is wrong in the plant's own books: ids that are not stable,
// order that was lost. State is the gateway's own book, by key as in ledger.c;
// nil if it was not read. Each acknowledged number must be counted once there.
func (p *Plant) Audit(state map[string]string) (wrong []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wrong = slices.Concat(p.ups.wrong, p.outs.wrong)
	if len(p.ids) != len(p.ups.times) {
		wrong = append(wrong, fmt.Sprintf("%d ids stand for %d numbers: a rerun did not give the same id", len(p.ids), len(p.ups.times)))
	}
	if state == nil {
		return wrong
	}
	counted := map[int]int{}
	for key, value := range state {
		if digits, ok := strings.CutPrefix(key, "seen/"); ok {
			n, _ := strconv.Atoi(digits)
			counted[n], _ = strconv.Atoi(value)
		}
	}
	if lost := absent(p.acked, counted); len(lost) > 0 {
		wrong = append(wrong, fmt.Sprintf("%d of %d acknowledged numbers are not in the state: %v", len(lost), len(p.acked), head(lost)))
	}
	var twice []int
	for n, times := range counted {
		if times != 1 {
			twice = append(twice, n)
		}
	}
	if slices.Sort(twice); len(twice) > 0 {
		wrong = append(wrong, fmt.Sprintf("%d numbers are not counted once: %v; their follow-ups: %v; the sensors connected again %d times",
			len(twice), head(twice), p.idsOf(head(twice)), p.cuts))
	}
	if got := state["total"]; got != strconv.Itoa(len(counted)) {
		wrong = append(wrong, fmt.Sprintf("the total is %s for %d numbers", got, len(counted)))
	}
	if d := state["disorder"]; d != "" {
		wrong = append(wrong, d+" numbers ran out of order")
	}
	return wrong
}

// idsOf are the ids of the follow-ups of some numbers.
func (p *Plant) idsOf(numbers []int) (ids []string) {
	for id, n := range p.ids {
		if slices.Contains(numbers, n) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// absent are the numbers of want that have does not have, in order.
func absent(want map[int]bool, have map[int]int) []int {
	var missing []int
	for n := range maps.Keys(want) {
		if have[n] == 0 {
			missing = append(missing, n)
		}
	}
	slices.Sort(missing)
	return missing
}

func head(list []int) []int { return list[:min(len(list), 10)] }

// Books is the store of a gateway that has stopped.
type Books interface {
	Keys(scope, prefix string, limit int) ([]string, error)
	Get(scope, key string) ([]byte, error)
}

// ReadLedger reads the gateway's own book: values by key, as in ledger.c.
func ReadLedger(t testing.TB, from Books) map[string]string {
	t.Helper()
	const scope = "state/ledger/ledger"
	keys, err := from.Keys(scope, "", 1<<24)
	if err != nil {
		t.Fatalf("read the ledger: %v", err)
	}
	state := make(map[string]string, len(keys))
	for _, key := range keys {
		value, err := from.Get(scope, key)
		if err != nil {
			t.Fatalf("read the ledger: %v", err)
		}
		state[key] = string(value)
	}
	return state
}
