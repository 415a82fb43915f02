package main

import (
	"testing"
	"time"
)

func TestSignaturesAreJudgedByAClockThatIsRight(t *testing.T) {
	day := func(year int) time.Time { return time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC) }
	for _, tc := range []struct {
		name    string
		now     time.Time
		right   bool
		reached time.Time
		want    time.Time
	}{
		{"kept right", day(2027), true, day(2027), day(2027)},
		{"1970 at the start", day(1970), false, day(2027), day(2027)},
		{"1970, and nothing was noted", day(1970), false, day(2026), day(2026)},
		{"set ahead by hand", day(2035), false, day(2027), day(2027)},
		{"a time server lies", day(2035), true, day(2035), day(2035)},
		{"it has lied, and does not any more", day(2027), true, day(2035), day(2027)},
		{"right, and before the agent was built", day(2020), true, day(2020), day(2026)},
	} {
		if got := judgedBy(tc.now, tc.right, tc.reached, day(2026)); !got.Equal(tc.want) {
			t.Errorf("%s: judged by %s, want %s", tc.name, got, tc.want)
		}
	}
}
