package agent_test

import (
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

func TestCheckTraceParent(t *testing.T) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if !agent.CheckTraceParent(good) {
		t.Error("the example of the standard is refused")
	}
	for _, bad := range []string{
		"", good[:54], good + "-x", "01" + good[2:], strings.ToUpper(good), strings.Replace(good, "-b7", "_b7", 1),
		"00-" + strings.Repeat("0", 32) + good[35:], good[:36] + strings.Repeat("0", 16) + "-01", good[:53] + "0g",
	} {
		if agent.CheckTraceParent(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
}
