package logbook_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/internal/logbook"
)

// However long batches cannot be taken over, and whether or not more is logged
// meanwhile: they go soon after they can be.
func TestSendFailsForLong(t *testing.T) {
	for _, lines := range []int{1, 1000} {
		synctest.Test(t, func(t *testing.T) {
			log, s, end := shipping(t, logbook.ShipOptions{})
			s.fail(errors.New("the disk is full"))
			for i := range lines {
				log.Info(fmt.Sprintf("%d %s", i, strings.Repeat("z", 500)))
			}
			pass(10 * time.Minute)
			s.fail(nil)
			pass(time.Minute)
			if all := slices.Concat(s.batches...); len(all) < min(lines, 50) {
				t.Errorf("of %d lines %d went up within a minute", lines, len(all))
			}
			if err := end(); err != nil {
				t.Error(err)
			}
		})
	}
}
