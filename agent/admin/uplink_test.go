package admin_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
)

// outboxes is an uplink that remembers what it was asked.
type outboxes struct{ asked []string }

func (o *outboxes) note(what string, args ...any) {
	o.asked = append(o.asked, fmt.Sprintln(append([]any{what}, args...)...))
}

func filterText(f agent.WaitingFilter) string {
	priority := "any"
	if f.Priority != nil {
		priority = fmt.Sprint(*f.Priority)
	}
	return fmt.Sprint(f.IDs, " ", priority, " ", f.Function, " ", f.Older, " ", f.Limit)
}

func (o *outboxes) UplinkStatus() (agent.UplinkStatus, error) {
	return agent.UplinkStatus{Targets: []agent.TargetStatus{{Name: "alerts", ByPriority: [10]int{9: 3}}}}, nil
}

func (o *outboxes) Waiting(_ context.Context, target string, f agent.WaitingFilter) ([]agent.Waiting, error) {
	o.note("waiting", target, filterText(f))
	return []agent.Waiting{{ID: 7, Target: target, Data: []byte("x")}}, nil
}

func (o *outboxes) Why(target string, id uint64) ([]string, error) {
	o.note("why", target, id)
	return []string{"so"}, nil
}

func (o *outboxes) Drop(_ context.Context, target string, f agent.WaitingFilter) (int, error) {
	o.note("drop", target, filterText(f))
	return 2, errors.New("the third cannot be read")
}

func (o *outboxes) Retry(_ context.Context, target string) error { o.note("retry", target); return nil }

func (o *outboxes) Pause(_ context.Context, target string) error { o.note("pause", target); return nil }

func (o *outboxes) Resume(_ context.Context, target string) error {
	o.note("resume", target)
	return errors.New("there is no target " + target)
}

func TestTheUplinkOverTheSocket(t *testing.T) {
	path, kept := filepath.Join(t.TempDir(), "s"), &outboxes{}
	serveAll(t, path, &letters{}, &events{}, kept)
	var up admin.Uplink = admin.Outboxes{Path: path}
	ctx, nine := context.Background(), uint8(9)
	if s, err := up.UplinkStatus(); err != nil || !reflect.DeepEqual(s.Targets, []agent.TargetStatus{{Name: "alerts", ByPriority: [10]int{9: 3}}}) {
		t.Errorf("UplinkStatus = %+v, %v", s, err)
	}
	if list, err := up.Waiting(ctx, "alerts", agent.WaitingFilter{IDs: []uint64{7}}); err != nil || len(list) != 1 || string(list[0].Data) != "x" {
		t.Errorf("Waiting = %+v, %v", list, err)
	}
	if why, err := up.Why("alerts", 7); err != nil || !slices.Equal(why, []string{"so"}) {
		t.Errorf("Why = %q, %v", why, err)
	}
	all := agent.WaitingFilter{Priority: &nine, Function: "a/f", Older: time.Hour, Limit: 5}
	if n, err := up.Drop(ctx, "alerts", all); n != 2 || err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("Drop = %d, %v; want what was done beside the error", n, err)
	}
	if err := errors.Join(up.Retry(ctx, "alerts"), up.Pause(ctx, "alerts")); err != nil {
		t.Error(err)
	}
	if err := up.Resume(ctx, "nope"); err == nil || err.Error() != "there is no target nope" {
		t.Errorf("Resume = %v", err)
	}
	want := []string{"waiting alerts [7] any  0s 0\n", "why alerts 7\n", "drop alerts [] 9 a/f 1h0m0s 5\n", "retry alerts\n", "pause alerts\n", "resume nope\n"}
	if !slices.Equal(kept.asked, want) {
		t.Errorf("asked %q, want %q", kept.asked, want)
	}
}
