package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// TestTheUplinkIsShownInWords holds what a person sees of each state of a target
// and of a link.
func TestTheUplinkIsShownInWords(t *testing.T) {
	soon := time.Now().Add(42*time.Second + 300*time.Millisecond)
	s := agent.UplinkStatus{
		Targets: []agent.TargetStatus{
			{Name: "fine", Kind: "http", Delivered: 7, Link: "lte"},
			{Name: "busy", Kind: "http", Waiting: 3, ByPriority: [10]int{5: 2, 9: 1}, WaitingBytes: 2048, Drops: agent.DropCounts{Expired: 1, Dropped: 4}},
			{
				Name: "gone", Kind: "http", Waiting: 1, RetryAt: soon,
				Breaker: &agent.BreakerStatus{State: "open", Failures: 9, RetryAt: soon, Cause: "answered 503:\x1b[2J"},
			},
			{Name: "back", Kind: "http", Waiting: 1, Breaker: &agent.BreakerStatus{State: "half-open", Failures: 3, Cause: "x"}},
			{Name: "dear", Kind: "http", Waiting: 1, Link: "lte", OverBudget: "1.0 MiB of the day's 1.0 MiB of link lte are used"},
			{Name: "shut", Kind: "http", Waiting: 1, Paused: true, RetryAt: soon},
			{Name: "lost", Kind: noKind, Waiting: 1, LastError: goneText("target")},
			{Name: "idle", Notes: []string{"the token cannot be read"}},
		},
		Links: []agent.LinkStatus{
			{Name: "lte", Day: agent.Account{Used: 1 << 20, Limit: 1 << 20}, Month: agent.Account{Used: 3 << 20}, Rate: 16 << 10, Reserve: 1024},
			{Name: "sat", Metered: []string{"0 6 * * * FOR 4h"}, Counts: true, Changes: soon},
			{Name: "wifi", Metered: []string{"0 6 * * * FOR 4h"}, Changes: soon},
		},
		Disk:  agent.UplinkDisk{Used: 1 << 20, Limit: 64 << 20, Full: "hold"},
		Flash: agent.FlashStatus{Written: 3000, Accepted: 1000, Delivered: 500},
	}
	var out bytes.Buffer
	if err := printUplink(&out, s, "text"); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ") // however wide the columns are
	for _, want := range []string{
		"fine nothing waits 0 - 0 B - - 7 0 0 - lte",
		"busy sending 3 9:1 5:2 2.0 KiB - - 0 0 0 1 expired, 4 dropped -",
		"gone away 1 - 0 B - in 42s",
		"back away, one record tries 1",
		"dear over budget 1",
		"shut paused 1 - 0 B - - 0",
		"lost not configured any more 1",
		"idle no agent runs 0",
		"lte 1.0 MiB of 1.0 MiB, 0 B left 3.0 MiB, no limit 16.0 KiB/s 1.0 KiB always",
		"sat 0 B, no limit 0 B, no limit - - now (0 6 * * * FOR 4h), no more in 42s",
		"wifi 0 B, no limit 0 B, no limit - - not now (0 6 * * * FOR 4h), again in 42s",
		"disk 1.0 MiB of 64.0 MiB taken by what waits; when it is full: nothing is dropped (uplink.full: hold)",
		"flash 2.9 KiB written to the device since the start, 3.0 per byte of events that came in, 6.0 per byte sent up",
		`gone: "failed 9 times in a row and is tried again in 42s; the last: answered 503:\x1b[2J"`,
		"back: failed 3 times in a row, one record tries now; the last: x",
		"dear: 1.0 MiB of the day's 1.0 MiB of link lte are used",
		"lost: this target is not in the configuration any more",
		"idle: the token cannot be read",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the list lacks %q:\n%s", want, &out)
		}
	}
}

// TestALinkSaysWhatIsLeftAndUntilWhen holds the sentence about a budget that is used up.
func TestALinkSaysWhatIsLeftAndUntilWhen(t *testing.T) {
	evening := time.Date(2026, 11, 30, 22, 0, 0, 0, time.UTC)
	both := agent.LinkStatus{Name: "lte", Day: agent.Account{Used: 1000, Limit: 1024}, Month: agent.Account{Used: 2048, Limit: 1 << 20}}
	for _, tt := range []struct {
		link agent.LinkStatus
		want string
	}{
		{both, "Link lte has carried 1000 B of 1.0 KiB this day (the next begins in 2h0m0s) and 2.0 KiB of 1.0 MiB this month (the next begins in 2h0m0s). To send more before, raise that"},
		{agent.LinkStatus{Name: "sat", Month: agent.Account{Used: 5, Limit: 6}}, "Link sat has carried 5 B of 6 B this month (the next begins in 2h0m0s). To send more"},
		{agent.LinkStatus{Name: "sat", Day: agent.Account{Used: 5, Limit: 6}, Note: "the clock is not known to be right"}, "Link sat has carried 5 B of 6 B this day; the clock is not known to be right. To send more"},
		{agent.LinkStatus{Name: "sat", Day: agent.Account{Used: 5, Limit: 6}, Reserve: 2}, "Link sat has carried 5 B of 6 B this day (the next begins in 2h0m0s). To send more before, raise that in the configuration (links) and restart the agent, or limits.uplink in the app if that is what is used up; what has priority 8 or 9 may use the last 2 B."},
		{agent.LinkStatus{Name: "lan"}, "Link lan has no budget but that of functions"},
	} {
		if got := whyLink(tt.link, evening); !strings.HasPrefix(got, tt.want) {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
