package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/author"
	"github.com/skerry-edge/skerry/internal/cases"
	"github.com/skerry-edge/skerry/internal/recording"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/wasm"
)

// file runs the tests of one file. An error says that the file or its app is wrong (a
// usage error), or does not compile.
func (o *testOptions) file(ctx context.Context, path string, said io.Writer) (*cases.Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, usageError{err}
	}
	f, err := cases.Parse(path, text)
	if err != nil {
		return nil, usageError{err}
	}
	r := &cases.Report{File: path, Tests: []cases.Result{}}
	if !slices.ContainsFunc(f.Tests, o.wanted) {
		return r, nil
	}
	if _, err := os.Stat(f.App); err != nil {
		return nil, usageError{fmt.Errorf("%s: there is no %s beside it: say with app: where the manifest is", path, f.App)}
	}
	app, err := o.load(ctx, f.App, said)
	if err != nil {
		return nil, err
	}
	outcomes := map[*cases.Test]*cases.Outcome{}
	for _, t := range f.Tests {
		if !o.wanted(t) {
			continue
		}
		outcome, err := app.run(ctx, t)
		if err != nil {
			return nil, usageError{fmt.Errorf("%s:%d: %w", path, t.Line, err)}
		}
		r.Add(t, outcome)
		outcomes[t] = outcome
	}
	if r.Failed > 0 && o.update {
		err = update(f, r, outcomes)
	}
	return r, err
}

// update writes what happened into the file.
func update(f *cases.File, r *cases.Report, outcomes map[*cases.Test]*cases.Outcome) error {
	text, err := f.Updated(outcomes)
	if err != nil {
		return usageError{err}
	}
	switch now, err := os.ReadFile(f.Path); {
	case err != nil:
		return err
	case !f.Is(now):
		return fmt.Errorf("%s was saved while its tests ran: run skerry test --update again", f.Path)
	}
	if err := author.Replace(f.Path, text, 0o644); err != nil {
		return err
	}
	r.WereUpdated(outcomes)
	return nil
}

func (o *testOptions) wanted(t *cases.Test) bool { return o.run == nil || o.run.MatchString(t.Name) }

// tested is an app that tests are run of.
type tested struct {
	name       string
	file       string // its manifest
	deployment agent.Deployment
	modules    modulesOf
}

// testedDevice is the device that functions see in tests.
func testedDevice() fleetsync.Device {
	return fleetsync.Device{
		ID: "local", Brokers: []string{recording.DefaultBroker},
		Arch: runtime.GOARCH, Interpreted: wasm.Interpreted(), Release: version,
	}
}

// load reads an app with its modules, and builds those that are not as their source.
func (o *testOptions) load(ctx context.Context, file string, said io.Writer) (*tested, error) {
	if !o.noBuild {
		if err := rebuild(ctx, file, said); err != nil {
			return nil, err
		}
	}
	d, modules, err := fleetsync.LocalDeployment([]string{file}, testedDevice(), publishChecks())
	if err != nil {
		return nil, usageError{err}
	}
	return &tested{name: d.Apps[0].Name, file: file, deployment: d, modules: modules}, nil
}

// rebuild builds the modules of an app that are missing or were made from another
// source. Where there is no compiler, those that are there do.
func rebuild(ctx context.Context, file string, said io.Writer) error {
	file, app, err := openApp(file)
	if err != nil {
		return err
	}
	_, err = buildModules(ctx, file, app, said, false)
	var missing *author.MissingError
	if !errors.As(err, &missing) {
		return err
	}
	for _, fn := range app.Functions {
		if _, gone := os.Stat(modulePath(file, fn.Module.Path)); fn.Module.Path != "" && gone != nil {
			return err
		}
	}
	fmt.Fprintf(said, "note: %v; the modules that are there are run, and may be older than their source\n", err)
	return nil
}

// settled is the deployment with the settings of a test.
func (a *tested) settled(t *cases.Test) (agent.Deployment, error) {
	d := a.deployment
	d.Functions = slices.Clone(d.Functions)
	var secrets []string
	for i := range d.Functions {
		fn := &d.Functions[i]
		secrets = append(secrets, fn.Secrets...)
		if !fn.Rule {
			env := maps.Clone(fn.Env)
			if env == nil {
				env = map[string]string{}
			}
			maps.Copy(env, t.Env)
			fn.Env = env
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Secrets)) {
		if !slices.Contains(secrets, name) {
			return d, fmt.Errorf("no function of %s asks for the secret %s: add it to secrets of the function there", a.file, name)
		}
	}
	for i := range t.Events {
		name := t.Events[i].Schedule
		known := slices.ContainsFunc(d.Triggers, func(tr agent.Trigger) bool {
			return tr.Via == agent.ViaSchedule && tr.Name == a.name+"/"+name
		})
		if name != "" && !known {
			return d, fmt.Errorf("events[%d]: %s has no trigger %s with a schedule", i, a.file, name)
		}
	}
	return d, nil
}

// scope is where the state of a function is; keys that begin with "/" are the app's.
func (a *tested) scope(function, key string) (string, error) {
	known := slices.ContainsFunc(a.deployment.Functions, func(fn agent.Function) bool { return fn.Name == a.name+"/"+function })
	switch shared := strings.HasPrefix(key, "/"); {
	case shared && (known || function == "app"):
		return "state/" + a.name, nil
	case known:
		return "state/" + a.name + "/" + function, nil
	case function == "app":
		return "", fmt.Errorf("state.app.%s: what functions share has keys that begin with /", key)
	}
	return "", fmt.Errorf("state: %s has no function %s; what functions share stands under app", a.file, function)
}

// before is the frame that holds the state a test begins with.
func (a *tested) before(t *cases.Test) (*agent.Frame, error) {
	f := &agent.Frame{}
	for _, function := range slices.Sorted(maps.Keys(t.State)) {
		for _, key := range slices.Sorted(maps.Keys(t.State[function])) {
			scope, err := a.scope(function, key)
			if err != nil {
				return nil, err
			}
			f.Writes = append(f.Writes, agent.Write{Scope: scope, Key: key, Value: t.State[function][key]})
		}
	}
	for _, k := range t.After {
		if _, err := a.scope(k.Function, k.Key); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// run plays a test. An error says that it makes no sense for this app; what else goes
// wrong is in its outcome.
func (a *tested) run(ctx context.Context, t *cases.Test) (*cases.Outcome, error) {
	d, err := a.settled(t)
	if err != nil {
		return nil, err
	}
	begun, out := time.Now(), &cases.Outcome{}
	h := recording.Header{Device: "local", Broker: recording.DefaultBroker, Start: t.Start}
	w := &caseWatch{app: a, out: out, numbers: map[string]int{}, ran: map[string]*caseRun{}}
	w.effects = newEffects(&d, h, w.put)
	secrets := func(name string) (string, bool) { value, ok := t.Secrets[name]; return value, ok }
	before, err := a.before(t)
	if err != nil {
		return nil, err
	}
	st, err := openStage(h, a.modules, w, secrets)
	if err != nil {
		return nil, err
	}
	st.before = before
	play := theatre{stage: st, effects: w.effects, pace: &pacer{}, start: h.Start}
	out.Err = st.run(ctx, d, func(ctx context.Context) error { return a.play(ctx, &play, t, &h, w) })
	out.Took = time.Since(begun)
	w.notes(t, &d, &h)
	return out, nil
}

// play gives a test's events to the stage, and takes down the state afterwards.
func (a *tested) play(ctx context.Context, play *theatre, t *cases.Test, h *recording.Header, w *caseWatch) error {
	var last time.Duration
	for i := range t.Events {
		e := t.Events[i].Entry(h, a.name, i+1)
		w.number(e.Event, i+1)
		if e.Event.Via == agent.ViaHTTP && listenedTo(&a.deployment, e.Event) {
			w.Answer(e.Event)
		}
		odd, err := play.judge(ctx, &e)
		if err != nil {
			return err
		}
		if odd {
			w.valueless = append(w.valueless, i+1)
		}
		last = e.At
	}
	if t.Until > 0 {
		if err := play.until(ctx, last+t.Until); err != nil {
			return err
		}
	}
	kept := map[[2]string][]byte{}
	for _, k := range t.After {
		scope, err := a.scope(k.Function, k.Key)
		if err != nil {
			return err
		}
		value, err := play.stage.store.Get(scope, k.Key)
		if err != nil {
			return fmt.Errorf("read the state: %w", err)
		}
		kept[[2]string{k.Function, k.Key}] = slices.Clone(value)
	}
	w.out.State = func(function, key string) ([]byte, error) { return kept[[2]string{function, key}], nil }
	next, err := play.quiet(ctx)
	if !next.IsZero() {
		w.next = next.Sub(t.Start)
	}
	w.over = play.effects.now
	return err
}
