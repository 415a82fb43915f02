package examples_test

import (
	"path/filepath"
	"slices"
	"testing"
)

// TestStories plays the events of each story to its apps and compares what they
// do with effects.jsonl, at two speeds. With -update, effects.jsonl is rewritten.
func TestStories(t *testing.T) {
	stories, err := filepath.Glob("stories/*/*/events.jsonl")
	if err != nil || len(stories) == 0 {
		t.Fatalf("there are no stories: %v", err)
	}
	for _, events := range stories {
		dir := filepath.Dir(events)
		t.Run(dir, func(t *testing.T) {
			args := []string{"events", "play", events}
			for _, app := range appsOf(t, dir) {
				args = append(args, "--app", app)
			}
			effects := filepath.Join(dir, "effects.jsonl")
			if *update {
				play(t, append(args, "--effects", effects)...)
			}
			play(t, append(args, "--expect", effects)...)
			play(t, append(args, "--expect", effects, "--speed", "1000000x")...)
		})
	}
}

// appsOf are the manifests of a story, in order.
func appsOf(t *testing.T, dir string) []string {
	t.Helper()
	apps, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(apps) == 0 {
		t.Fatalf("a story needs an app: %v", err)
	}
	slices.Sort(apps)
	return apps
}

func play(t *testing.T, args ...string) {
	t.Helper()
	if code, out := run(t, ".", args...); code != 0 {
		t.Errorf("skerry %q: exit code %d\n%s", args, code, out)
	}
}
