package uplink_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	realstore "github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/uplink"
)

// TestKeeperExpiresNothingByAClockThatIsWrong: where nothing keeps the clock right,
// deadlines are written as times in 1970, which are long over by any other clock.
func TestKeeperExpiresNothingByAClockThatIsWrong(t *testing.T) {
	s := openStore(t, t.TempDir(), realstore.Options{Quota: 8 << 20, NoSync: true})
	clock := agent.NewClock(nil)
	k := uplink.NewKeeper(s, uplink.KeeperOptions{Disk: 1, Hold: true, Targets: []string{"erp"}, Left: clock.Left})
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, ttl := range []time.Duration{time.Hour, -time.Second} {
		f := agent.Frame{Add: []agent.Record{keptRecord(rnd, agent.QueueTarget("erp", 5, false), clock.In(ttl))}}
		if err := s.Commit(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := k.Drops("erp"); got != (agent.DropCounts{Expired: 1}) || s.Queue(agent.QueueTarget("erp", 5, false)).Len() != 1 {
		t.Errorf("dropped %+v, want only the one whose time is over", got)
	}
}
