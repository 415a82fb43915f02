package uplink_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
)

// installPeers brings what these tests talk to.
const installPeers = "bash .ci/deps.sh"

// peersDir is the folder of our mains around other people's programs.
const peersDir = "../internal/peers"

// peer is a program that other people wrote, behind a small main of
// internal/peers, on a free port of 127.0.0.1.
type peer struct {
	*testbed.Proc
	t    testing.TB
	url  string // "http://127.0.0.1:port"
	seen int    // things that next told of
}

// got is what a peer says that it got; see internal/peers/book.
type got struct {
	Path        string            `json:"path"`
	Method      string            `json:"method"`
	Header      map[string]string `json:"header"`
	ID          string            `json:"id"`
	Source      string            `json:"source"`
	Type        string            `json:"type"`
	Subject     string            `json:"subject"`
	Time        time.Time         `json:"time"`
	ContentType string            `json:"content_type"`
	Extensions  map[string]any    `json:"extensions"`
	Data        []byte            `json:"data"`
}

// buildPeers builds the peers that are written in Go and returns the folder
// that they are in.
func buildPeers(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir+"/", "./functions", "./receiver")
	build.Dir = peersDir
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s\nfetch what it needs with: %s", peersDir, err, out, installPeers)
	}
	return dir
}

// startPeer starts a peer that says where it listens.
func startPeer(t *testing.T, program string, args ...string) *peer {
	t.Helper()
	p := &peer{t: t, Proc: testbed.Start(t, installPeers, func() error { return nil }, program, args...)}
	testbed.Eventually(t, 30*time.Second, program+" says where it listens", func() error {
		for _, line := range p.said("listening ") {
			p.url = "http://" + line
			return nil
		}
		select {
		case <-p.Done():
			t.Fatalf("%s ended:\n%s", program, p.Output())
		default:
		}
		return errors.New("it does not yet")
	})
	return p
}

// startNode starts a script of internal/peers/node with the given npm package.
func startNode(t *testing.T, spec, script string, args ...string) *peer {
	t.Helper()
	return startPeer(t, "env", append(nodeCommand(t, spec, script), args...)...)
}

// nodeCommand is what env has to run. spec is name@version; each package has a
// folder of its own, since npm removes what is there and was not named.
func nodeCommand(t *testing.T, spec, script string) []string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndexByte(spec, '@')
	name, version := spec[:at], spec[at+1:]
	modules := filepath.Join(cache, "skerry-peers", filepath.Base(name)+"-"+version, "node_modules")
	if _, err := os.Stat(filepath.Join(modules, name)); err != nil {
		t.Fatalf("the npm package %s is missing; install it with: %s", spec, installPeers)
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatalf("node is missing; install it with: apt-get install nodejs npm")
	}
	return []string{"NODE_PATH=" + modules, "node", filepath.Join(peersDir, "node", script)}
}

// said lists the rest of each line that begins with prefix. A line that is not
// ended is not said yet.
func (p *peer) said(prefix string) []string {
	var all []string
	out := p.Output()
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, prefix); ok && strings.HasSuffix(rest, "\n") {
			all = append(all, strings.TrimSpace(rest))
		}
	}
	return all
}

// next waits for what the peer got next.
func (p *peer) next() (g got) {
	p.t.Helper()
	testbed.Eventually(p.t, 10*time.Second, fmt.Sprintf("the peer got %d", p.seen+1), func() error {
		if all := p.said("got "); len(all) <= p.seen {
			return fmt.Errorf("it got %d:\n%s", len(all), p.Output())
		}
		return nil
	})
	line := p.said("got ")[p.seen]
	p.seen++
	if err := json.Unmarshal([]byte(line), &g); err != nil {
		p.t.Fatalf("the peer said %q: %v", line, err)
	}
	return g
}

// end checks that nothing more came.
func (p *peer) end() {
	p.t.Helper()
	if all := p.said("got "); len(all) > p.seen {
		p.t.Errorf("the peer got more: %s", all[p.seen:])
	}
}
