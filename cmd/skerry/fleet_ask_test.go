package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/sync/trust"
)

// Ctrl-C ends a question, though nothing is typed.
func TestQuestionsEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	typed := make(chan string)
	time.AfterFunc(time.Millisecond, cancel)
	if _, err := whileWanted(ctx, func() (string, error) { return <-typed, nil }); !errors.Is(err, errInterrupted) {
		t.Errorf("a question that was interrupted: %v", err)
	}
	close(typed)
	if _, err := askHidden(ctx, -1, "?"); !errors.Is(err, errInterrupted) {
		t.Errorf("a question after that: %v", err)
	}
}

func TestProgressBarIsOneLine(t *testing.T) {
	var out strings.Builder
	bar := progressBar(&out)
	for _, done := range []int64{-5, 0, 0, 50, 50, 120, 100, 100} {
		bar(done, 100)
	}
	bar(0, 0)
	if text := out.String(); strings.Count(text, "\r") != strings.Count(text, "B of ") || strings.Count(text, "50 B of 100 B") != 1 {
		t.Errorf("%q", text)
	}
}

// What comes to light while it is published is told as well: a signature that ends
// soon, and cannot be renewed with the keys that are here.
func TestPublishingTellsWhatEndsSoon(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	access := r.fleet("oci-layout:" + r.path("registry"))
	access.Now = func() time.Time { return time.Now().AddDate(0, 0, -300) }
	access.Keys = r.path("old")
	access.Ref = "oci-layout:" + r.path("old-registry")
	if _, err := fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: access}); err != nil {
		t.Fatal(err)
	}
	counter := filepath.Join("..", "..", "examples", "counter", "app.yaml")
	out, err := exec.Command(os.Args[0], "fleet", "pause", "--yes", "--keys", access.Keys).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the fleet assigns nothing: publish an app first") {
		t.Errorf("a pause of nothing: %v:\n%s", err, out)
	}
	if _, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: access, AppFile: counter, Checks: publishChecks()}); err != nil {
		t.Fatal(err)
	}
	repo, err := fleetsync.OpenFleet(t.Context(), access)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := repo.Rotate(trust.RoleFleet, fleetsync.RotateOptions{Split: true})
	if err == nil {
		_, err = repo.Push(t.Context(), plan, nil)
	}
	if err == nil {
		err = os.Remove(filepath.Join(access.Keys, "release.pem"))
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err = exec.Command(os.Args[0], "fleet", "pause", "--yes", "--keys", access.Keys).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "note: the signature of ") {
		t.Errorf("%v:\n%s", err, out)
	}
}
