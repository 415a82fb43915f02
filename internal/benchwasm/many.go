package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

const (
	manyFunctions = 500
	manyWarm      = 10 // of them are in use
	manyIdle      = 3 * time.Second
	manyFile      = "functions.json"
)

// crowd is what the process with many functions found.
type crowd struct {
	Restart time.Duration // to load all
	Loaded  int64         // bytes resident when all are
	Idle    int64         // bytes resident when most have been closed
	Event   time.Duration // of a function that was closed
}

// many measures an agent with 500 functions, each a module of its own, of which
// 490 are idle: it starts twice, and the second time all code is on disk.
func many(ctx context.Context, r *report, guests []guest, _ int) error {
	h, err := newTempHost()
	if err != nil {
		return err
	}
	defer h.remove()
	var all []guest
	for i := range manyFunctions {
		g := guests[0]
		g.bin = distinct(g.bin, i)
		if _, err := h.modules.add(g.bin); err != nil {
			return err
		}
		all = append(all, g)
	}
	if err := errors.Join(h.rt.Close(ctx), writeFunctions(h.dir, all)); err != nil {
		return err
	}
	first, err := startMany(ctx, h.dir)
	if err != nil {
		return err
	}
	again, err := startMany(ctx, h.dir)
	if err != nil {
		return err
	}
	r.begin(fmt.Sprintf("%d functions, %d of them idle", manyFunctions, manyFunctions-manyWarm))
	r.add("first start, compiling all", first.Restart.Seconds(), "s")
	r.most("restart, code from the cache", again.Restart.Seconds(), "s", 3)
	r.add("memory when all are loaded (RSS)", float64(again.Loaded)/1e6, "MB")
	r.most("memory when most are idle (RSS)", float64(again.Idle)/1e6, "MB", 120)
	r.add("first event of one that was idle", microseconds(again.Event)/1e3, "ms")
	return nil
}

// distinct is bin with a custom section that no other has.
func distinct(bin []byte, i int) []byte {
	text := fmt.Sprintf("\x05bench%05d", i)
	return append(append(append([]byte(nil), bin...), 0, byte(len(text))), text...)
}

func writeFunctions(dir string, all []guest) error {
	var fns []agent.Function
	for i, g := range all {
		fn := g.function()
		fn.Name = fmt.Sprintf("bench/alarm%d", i)
		fn.KeepWarm, fn.IdleAfter = i < manyWarm, manyIdle
		fns = append(fns, fn)
	}
	text, err := json.Marshal(fns)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, manyFile), text, 0o600)
}

// startMany runs a process of this program that serves all functions.
func startMany(ctx context.Context, dir string) (crowd, error) {
	self, err := os.Executable()
	if err != nil {
		return crowd{}, err
	}
	cmd := exec.CommandContext(ctx, self, "-many", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return crowd{}, fmt.Errorf("start %d functions: %w", manyFunctions, err)
	}
	var c crowd
	return c, json.Unmarshal(out, &c)
}

// serveMany is that process.
func serveMany(ctx context.Context, dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, manyFile))
	if err != nil {
		return err
	}
	var fns []agent.Function
	if err := json.Unmarshal(text, &fns); err != nil {
		return err
	}
	h, err := newHost(dir)
	if err != nil {
		return err
	}
	var c crowd
	begun := time.Now()
	var last agent.Module
	for _, fn := range fns {
		if last, err = h.rt.Load(ctx, fn); err != nil {
			return errors.Join(err, h.rt.Close(ctx))
		}
	}
	c.Restart = time.Since(begun)
	if c.Loaded, err = resident(); err != nil {
		return err
	}
	if err := wait(ctx, manyIdle+2*time.Second); err != nil {
		return err
	}
	runtime.GC() // an agent collects at least every two minutes
	if err := wait(ctx, 3*time.Second); err != nil {
		return err
	}
	if c.Idle, err = resident(); err != nil {
		return err
	}
	inv := agent.NewInvocation(&fns[len(fns)-1], noState{}, agent.Outside{})
	inv.Begin(&agent.Event{Data: []byte(hot)}, "bench/trigger", 1)
	begun = time.Now()
	err = last.Invoke(ctx, inv)
	c.Event = time.Since(begun)
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(c), h.rt.Close(ctx))
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// resident is this process's memory in use, bytes.
func resident() (int64, error) {
	stat, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseInt(strings.Fields(string(stat))[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
