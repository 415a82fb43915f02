package admin_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
)

// letters is a box that remembers what it was asked.
type letters struct{ asked []string }

func (l *letters) List(f agent.DeadFilter) ([]agent.DeadLetter, error) {
	l.asked = append(l.asked, fmt.Sprint("list ", f))
	return []agent.DeadLetter{{ID: 7, Reason: "trap", Data: []byte("x")}}, nil
}

func (l *letters) Redrive(_ context.Context, f agent.DeadFilter, data []byte) (int, error) {
	l.asked = append(l.asked, fmt.Sprintf("redrive %v %q %v", f, data, data == nil))
	return 2, errors.New("the third finds no room")
}

func (l *letters) Drop(_ context.Context, f agent.DeadFilter) (int, error) {
	l.asked = append(l.asked, fmt.Sprint("drop ", f))
	return 3, nil
}

func TestDeadLettersOverTheSocket(t *testing.T) {
	path, kept := filepath.Join(t.TempDir(), "s"), &letters{}
	serveBox(t, path, kept)
	box, ctx := admin.Box{Path: path}, context.Background()
	list, err := box.List(agent.DeadFilter{IDs: []uint64{7}})
	if err != nil || len(list) != 1 || list[0].ID != 7 || string(list[0].Data) != "x" {
		t.Errorf("List = %+v, %v", list, err)
	}
	for _, data := range [][]byte{nil, {}} {
		if n, err := box.Redrive(ctx, agent.DeadFilter{Function: "app/f"}, data); n != 2 || err == nil || !strings.Contains(err.Error(), "no room") {
			t.Errorf("Redrive = %d, %v; want what was done beside the error", n, err)
		}
	}
	if n, err := box.Drop(ctx, agent.DeadFilter{}); n != 3 || err != nil {
		t.Errorf("Drop = %d, %v", n, err)
	}
	want := []string{`list {[7] }`, `redrive {[] app/f} "" true`, `redrive {[] app/f} "" false`, `drop {[] }`}
	if !slices.Equal(kept.asked, want) {
		t.Errorf("asked %q, want %q", kept.asked, want)
	}
}
