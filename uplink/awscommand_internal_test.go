package uplink

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
)

// In package uplink: the pauses are minutes, and nobody else's business.

// program is an executable script; $1 is a folder of its own.
func program(t *testing.T, body string) (argv []string, dir string) {
	t.Helper()
	dir = t.TempDir()
	file := filepath.Join(dir, "give")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+body), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{file, dir}, dir
}

// answers prints credentials that expire then; each run adds a line to runs.
func answers(expires string) string {
	return `echo run >> "$1/runs"
echo '{"Version":1,"AccessKeyId":"AK'$(wc -l < "$1/runs" | tr -d " ")'","SecretAccessKey":"SK","SessionToken":"ST","Expiration":"` + expires + `"}'`
}

func runs(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "runs"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

// age makes the last run so much older.
func (c *credentialCommand) age(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last.ended = c.last.ended.Add(-d)
}

// due says when its answer is to be renewed.
func (c *credentialCommand) due(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last.due = at
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestCommandRunsBeforeCredentialsExpire(t *testing.T) {
	argv, dir := program(t, answers("2026-11-21T13:00:00Z"))
	c := newCredentialCommand(argv)
	for _, tt := range []struct {
		name string
		now  time.Time
		want string
	}{
		{"first", noon, "AK1"},
		{"good", noon.Add(54 * time.Minute), "AK1"},
		{"soon over", noon.Add(56 * time.Minute), "AK2"},
		{"over, as the clock says", noon.Add(2 * time.Hour), "AK3"}, // AWS judges by its own clock
	} {
		cr, err := c.get(t.Context(), tt.now)
		if err != nil || cr.keyID != tt.want || cr.secret != "SK" || cr.session != "ST" {
			t.Fatalf("%s: %+v, %v; want %s", tt.name, cr, err, tt.want)
		}
		c.age(time.Hour)
	}
	if n := runs(t, dir); n != 3 {
		t.Errorf("%d runs, want 3", n)
	}
}

func TestCommandRunsOnceAtATime(t *testing.T) {
	argv, dir := program(t, "sleep 0.2\n"+answers("2026-11-21T13:00:00Z"))
	c := newCredentialCommand(argv)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if cr, err := c.get(t.Context(), noon); err != nil || cr.keyID != "AK1" {
				t.Errorf("%+v, %v", cr, err)
			}
		})
	}
	all.Wait()
	if n := runs(t, dir); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
}

// While one waits for the program, others use what is still good.
func TestCommandHoldsNobodyUp(t *testing.T) {
	argv, dir := program(t, `if [ -e "$1/slow" ]; then touch "$1/begun"; while [ -e "$1/slow" ]; do sleep 0.01; done; fi
`+answers("2026-11-21T13:00:00Z"))
	c := newCredentialCommand(argv)
	if _, err := c.get(t.Context(), noon); err != nil {
		t.Fatal(err)
	}
	c.age(time.Hour)
	slow := filepath.Join(dir, "slow")
	if err := os.WriteFile(slow, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	late := noon.Add(58 * time.Minute)
	renewed := make(chan credentials)
	go func() {
		cr, err := c.get(t.Context(), late)
		if err != nil {
			t.Error(err)
		}
		renewed <- cr
	}()
	testbed.Eventually(t, 10*time.Second, "the program begins", func() error {
		_, err := os.Stat(filepath.Join(dir, "begun"))
		return err
	})
	if cr, err := c.get(t.Context(), late); err != nil || cr.keyID != "AK1" {
		t.Errorf("meanwhile: %+v, %v", cr, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.get(ctx, noon.Add(2*time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("who gives up waiting: %v", err)
	}
	if err := os.Remove(slow); err != nil {
		t.Fatal(err)
	}
	if cr := <-renewed; cr.keyID != "AK2" {
		t.Errorf("renewed: %+v", cr)
	}
}

// A program that fails is not run for each record, and what it gave before
// stays good while it is.
func TestCommandFails(t *testing.T) {
	argv, dir := program(t, `if [ -e "$1/broken" ]; then echo run >> "$1/runs"; echo canary >&2; echo canary; exit 3; fi
`+answers("2026-11-21T13:00:00Z"))
	c := newCredentialCommand(append(argv, "canary"))
	if _, err := c.get(t.Context(), noon); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		c.age(time.Hour)
		if cr, err := c.get(t.Context(), noon.Add(58*time.Minute)); err != nil || cr.keyID != "AK1" {
			t.Fatalf("still good: %+v, %v", cr, err)
		}
		if n := runs(t, dir); n != i+2 {
			t.Errorf("%d runs, want %d", n, i+2)
		}
	}
	for range 3 {
		_, err := c.get(t.Context(), noon.Add(2*time.Hour))
		if err == nil || !strings.Contains(err.Error(), "exit status 3") || strings.Contains(err.Error(), "canary") {
			t.Fatalf("over: %v", err)
		}
	}
	if n := runs(t, dir); n != 3 {
		t.Errorf("%d runs, want 3", n)
	}
	if err := os.Remove(filepath.Join(dir, "broken")); err != nil {
		t.Fatal(err)
	}
	c.age(time.Hour)
	if cr, err := c.get(t.Context(), noon.Add(2*time.Hour)); err != nil || cr.keyID != "AK4" {
		t.Errorf("mended: %+v, %v", cr, err)
	}
}

// AWS may end credentials early, or the clock may hide that they are over.
func TestCommandRunsAgainWhenAWSSaysSo(t *testing.T) {
	argv, _ := program(t, answers("2026-11-21T13:00:00Z"))
	c := newCredentialCommand(argv)
	if _, err := c.get(t.Context(), noon); err != nil {
		t.Fatal(err)
	}
	if c.renew("AK1") {
		t.Error("the program ran just now, yet it is to run again")
	}
	c.age(time.Hour)
	if !c.renew("AK1") {
		t.Error("the program is not to run again")
	}
	if cr, err := c.get(t.Context(), noon); err != nil || cr.keyID != "AK2" {
		t.Errorf("%+v, %v", cr, err)
	}
	c.age(time.Hour)
	if !c.renew("AK1") { // somebody else was slower
		t.Error("there are newer ones, but nobody says so")
	}
	if cr, err := c.get(t.Context(), noon); err != nil || cr.keyID != "AK2" {
		t.Errorf("for who was slower: %+v, %v", cr, err)
	}
}

// A program that hangs is ended with all that it started.
func TestCommandHangs(t *testing.T) {
	argv, dir := program(t, `sleep 300 &
echo $! > "$1/child"
wait`)
	c := newCredentialCommand(argv)
	c.timeout = 500 * time.Millisecond
	_, err := c.get(t.Context(), noon)
	if err == nil || !strings.Contains(err.Error(), "give did not end within 500ms") {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	testbed.Eventually(t, 10*time.Second, "its child is gone", func() error {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(child) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") || errors.Is(syscall.Kill(child, 0), syscall.ESRCH) {
			return nil
		}
		return errors.New("it lives")
	})
}

func TestCommandAnswers(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{`echo canary`, "not a JSON object"},
		{`echo '{"Version":1,"AccessKeyId":7}'`, "not a JSON object"},
		{`echo '{"Version":2,"AccessKeyId":"AK","SecretAccessKey":"canary"}'`, "Version 2"},
		{`echo '{"Version":1,"AccessKeyId":"AK"}'`, "lacks"},
		{`echo '{"Version":1,"AccessKeyId":"AK","SecretAccessKey":"canary","Expiration":"canary"}'`, "Expiration"},
		{`head -c 70000 /dev/zero`, "more than 65536 bytes"},
		{`:`, "not a JSON object"},
	} {
		argv, _ := program(t, tt.body)
		_, err := newCredentialCommand(argv).get(t.Context(), noon)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want %q", tt.body, err, tt.want)
		}
	}
	_, err := newCredentialCommand([]string{"/nowhere/give"}).get(t.Context(), noon)
	if err == nil || !errors.Is(err, os.ErrNotExist) && !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("missing: %v", err)
	}
	argv, _ := program(t, `echo '{"Version":1,"AccessKeyId":"AK","SecretAccessKey":"SK"}'`)
	if cr, err := newCredentialCommand(argv).get(t.Context(), noon); err != nil || cr != (credentials{keyID: "AK", secret: "SK"}) {
		t.Errorf("for ever: %+v, %v", cr, err)
	}
}

func FuzzParseCredentials(f *testing.F) {
	f.Add([]byte(`{"Version":1,"AccessKeyId":"AK","SecretAccessKey":"SK","SessionToken":"ST","Expiration":"2026-11-21T13:00:00Z"}`))
	f.Add([]byte(`{"Version":1`))
	f.Fuzz(func(t *testing.T, text []byte) {
		cr, err := parseCredentials(text)
		if err == nil && (cr.keyID == "" || cr.secret == "") || err != nil && cr != (credentials{}) {
			t.Errorf("%q: %+v, %v", text, cr, err)
		}
	})
}
