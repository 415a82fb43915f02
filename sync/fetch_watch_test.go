package fleetsync_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

const twoFunctions = `apiVersion: skerry/v1
kind: App
metadata: {name: overheat, version: %s}
functions:
  f: {module: {path: ./f.wasm}}
  g: {module: {path: ./g.wasm}}
triggers:
  - {name: hot, function: f, mqtt: {topic: sensors/+/t}}
  - {name: cold, function: g, mqtt: {topic: sensors/+/t}}
`

// TestSomethingNewerEndsADownload publishes while a module is stuck on its way: the
// device goes on with what is newer, and keeps what that needs too.
func TestSomethingNewerEndsADownload(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	l := newLine(t, reg.Addr())
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	publish := func(version string, g uint64) {
		b.write("f.wasm", string(module(1, 600_000)))
		b.write("g.wasm", string(module(g, 700_000)))
		b.publish(b.write("app.yaml", fmt.Sprintf(twoFunctions, version)), "")
	}
	publish("1.0.0", 2)
	stuck := make(chan struct{})
	l.set(func(a *answer) {
		if strings.HasSuffix(a.req.URL.Path, string(digestOf(module(2, 700_000)))) {
			a.cut, a.stall = 100_000, true
			close(stuck)
		}
	})
	r, err := fleetsync.NewRegistry(l.ref(), fleetsync.RegistryOptions{Retries: -1, Idle: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var minutes atomic.Int64 // each look at the clock is one later, so that nobody waits to be woken
	p := fleetsync.NewPuller(r, b.cache, b.run, device(), fleetsync.PullerOptions{
		Root: b.root(), Poll: time.Hour, Jitter: time.Nanosecond, Log: slog.New(slog.NewTextHandler(b.log, nil)),
		Time: func() time.Time { return time.Now().Add(time.Duration(minutes.Add(2)) * time.Minute) },
	})
	done := make(chan error, 1)
	go func() { done <- p.Check(t.Context()) }()
	<-stuck
	p.Wake() // for nothing: it is what is being fetched
	publish("1.1.0", 3)
	testbed.Eventually(t, 30*time.Second, "the newer version is fetched", func() error {
		p.Wake()
		select {
		case err = <-done:
			return nil
		default:
			return fmt.Errorf("%d bytes came", l.bytes.Load())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	b.run.want(t, "overheat@1.1.0")
	if got := l.bytes.Load(); got > 600_000+100_000+700_000+40_000 {
		t.Errorf("%d bytes were served: the module that both have came twice", got)
	}
	if begun, err := b.cache.Unfinished(); err != nil || len(begun) > 0 {
		t.Errorf("what nobody wants is kept: %v, %v", begun, err)
	}
}
