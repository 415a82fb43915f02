package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/recording"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// devBuild is a version of the app, or why there is none.
type devBuild struct {
	deployment agent.Deployment
	modules    modulesOf
	err        error
	took       time.Duration
}

const (
	devLook  = 150 * time.Millisecond // between looks at the folder
	devShare = 20                     // at most one part in so many of the time is spent looking
)

// builds gives a version after each change of the folder, the first at once.
func (d *dev) builds(ctx context.Context, out chan<- *devBuild) {
	seen := d.look()
	for n := uint64(1); ; n++ {
		b := d.build(ctx, n)
		select {
		case out <- b:
		case <-ctx.Done():
			return
		}
		now, calm := seen, false
		for now == seen || !calm { // until something was saved, and who saves has done with it
			begin := time.Now()
			last := now
			now = d.look()
			calm = now == last
			if !pause(ctx, max(devLook, devShare*time.Since(begin))) {
				return
			}
		}
		seen = now
	}
}

// look is a hash of the names, sizes and times of the files that count. What
// cannot be read now is looked at the next time.
func (d *dev) look() uint64 {
	h := fnv.New64a()
	_ = filepath.WalkDir(d.dir(), func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case e.IsDir() && path != d.dir() && foreignFolder(e.Name()):
			return filepath.SkipDir
		case e.IsDir() || strings.HasPrefix(e.Name(), ".") || filepath.Ext(path) == ".wasm":
			return nil // modules are built here
		}
		if info, err := e.Info(); err == nil {
			fmt.Fprintln(h, path, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return h.Sum64()
}

// build builds what changed.
func (d *dev) build(ctx context.Context, n uint64) *devBuild {
	begin, b := time.Now(), &devBuild{}
	file, app, err := openApp(d.file)
	if err != nil {
		b.err = err
		return b
	}
	if _, b.err = buildModules(ctx, file, app, d.said, false); b.err != nil {
		return b
	}
	b.deployment, b.modules, b.err = fleetsync.LocalDeployment([]string{file}, testedDevice(), publishChecks())
	b.deployment.Generation = n
	b.took = time.Since(begin)
	brokers := map[string]bool{}
	for _, t := range app.Triggers {
		if t.MQTT != nil {
			brokers[t.MQTT.Broker] = true
		}
	}
	for i := range b.deployment.Triggers {
		t := &b.deployment.Triggers[i]
		if t.Share = ""; brokers[t.Via] {
			t.Via = recording.DefaultBroker // there is one here
		}
	}
	return b
}

// announce tells what runs now.
func (d *dev) announce(b *devBuild, how string) {
	app := b.deployment.Apps[0]
	var filters []string
	for i := range b.deployment.Triggers {
		t := &b.deployment.Triggers[i]
		word := t.Filter
		switch t.Via {
		case agent.ViaSchedule:
			word = "schedule " + strings.TrimPrefix(t.Filter, app.Name+"/")
		case agent.ViaHTTP, agent.ViaInside:
			word = t.Via + " " + t.Filter
		}
		if !slices.Contains(filters, word) {
			filters = append(filters, word)
		}
	}
	d.say("%s@%s %s (built in %s), listens to %s", app.Name, app.Version, how, round(b.took), strings.Join(filters, ", "))
}

// firstFault is one sentence of an error that may have many.
func firstFault(err error) string {
	lines := strings.Split(err.Error(), "\n")
	if len(lines) > 1 {
		return fmt.Sprintf("%s (and %d more)", lines[0], len(lines)-1)
	}
	return lines[0]
}
