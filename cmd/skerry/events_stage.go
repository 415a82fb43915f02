package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/recording"
	"github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/internal/when"
	"github.com/skerry-edge/skerry/wasm"
)

// stage is an agent for a while: with nothing around it, in a folder that goes
// with it, by a clock that is moved by hand.
type stage struct {
	agent   *agent.Agent
	store   *store.Store
	runtime *wasm.Runtime
	dir     string
	before  *agent.Frame // what is there when the agent starts; nil: nothing
	ended   chan error   // of the agent
}

// openStage wires an agent that starts at the time of the recording's start.
func openStage(h recording.Header, modules wasm.Modules, watch agent.Watcher, secrets func(string) (string, bool)) (*stage, error) {
	dir, err := os.MkdirTemp("", "skerry-play-")
	if err != nil {
		return nil, fmt.Errorf("make a folder to play in: %w", err)
	}
	clock, quiet := agent.NewManualClock(h.Start), slog.New(slog.DiscardHandler)
	st, err := store.Open(filepath.Join(dir, storeDir), store.Options{Past: clock.Past, NoSync: true, Log: quiet})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a store to play with: %w", err), os.RemoveAll(dir))
	}
	rt := sandbox(modules, nil, clock.Reached)
	s := &stage{store: st, runtime: rt, dir: dir, ended: make(chan error, 1)}
	s.agent = agent.New(st, rt, nil, agent.Options{
		Device: h.Device, DefaultBroker: h.Broker, Language: when.Language{}, Secrets: secrets,
		Clock: clock, Watch: watch, Group: 1, Log: quiet,
	})
	return s, nil
}

// run has the agent run d while do lasts, and takes the stage down.
func (s *stage) run(ctx context.Context, d agent.Deployment, do func(context.Context) error) (err error) {
	world, stop := context.WithCancel(context.WithoutCancel(ctx))
	over := make(chan error, 2)
	go func() { over <- s.store.Run(world) }()
	go func() {
		err := s.agent.Run(world)
		s.ended <- err
		over <- err
	}()
	defer func() {
		stop()
		err = errors.Join(err, <-over, <-over)
		closing(&err, s.runtime.Close)
		err = errors.Join(err, s.store.Close(), os.RemoveAll(s.dir))
	}()
	if s.before != nil {
		if err := s.store.Commit(ctx, s.before); err != nil {
			return fmt.Errorf("set the stage: %w", err)
		}
	}
	if err := s.agent.Apply(ctx, d); err != nil {
		return notStarted(err)
	}
	return do(ctx)
}

// notStarted says in a sentence why an app does not start.
func notStarted(err error) error {
	var refused *agent.LoadError
	if !errors.As(err, &refused) {
		return err
	}
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(refused.Causes)) {
		texts = append(texts, name+": "+loadText(refused.Causes[name], name))
	}
	return errors.New("the app does not start: " + strings.Join(texts, "; "))
}

// broken says that the agent has ended although nobody stopped it.
func (s *stage) broken() error {
	select {
	case err := <-s.ended:
		return errors.Join(errors.New("the agent that plays has ended"), err)
	default:
		return nil
	}
}

// valueless is what is said of an event for which an expression could not be evaluated.
const valueless = "an expression of its trigger cannot be evaluated for it: is a value of another type?"

// unevaluated counts the expressions of triggers that could not be evaluated so far.
func (s *stage) unevaluated() (n int64) {
	var now agent.Status
	s.agent.Status(&now)
	for i := range now.Functions {
		n += now.Functions[i].ConditionErrors
	}
	return n
}

// forget takes records off their queues: nobody sends them anywhere.
func (s *stage) forget(ctx context.Context, seqs []uint64) error {
	if len(seqs) == 0 {
		return nil
	}
	return s.store.Commit(ctx, &agent.Frame{Done: seqs, Lazy: true})
}
