package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/wasm"
)

// base is the function before the flags: of the manifest, or of the file alone.
// It gives the file of the module too.
func (o *invokeOptions) base(file string) (agent.Function, string, error) {
	switch {
	case o.app != "":
		app, err := appAt(o.app)
		if err != nil {
			return agent.Function{}, "", err
		}
		o.app = app
		fn, path, err := fleetsync.LocalFunction(o.app, o.function, wasm.Interpreted(), publishChecks())
		if file != "" {
			path = file
		}
		return fn, path, err
	case o.function != "":
		return agent.Function{}, "", errors.New("--function is a name in a manifest: name that with --app, or go to the folder of its app.yaml")
	case file == "":
		return agent.Function{}, "", errors.New("invoke needs a module, or a folder with an app.yaml: see skerry invoke --help")
	}
	return agent.Function{Name: functionName(file), Limits: fleetsync.DefaultLimits(wasm.Interpreted())}, file, nil
}

// override puts the flags over the function.
func (o *invokeOptions) override(fn *agent.Function) error {
	if err := o.limits(&fn.Limits); err != nil {
		return err
	}
	env, err := parseSettings(o.env)
	if err != nil {
		return err
	}
	if fn.Env == nil {
		fn.Env = map[string]string{}
	}
	maps.Copy(fn.Env, env)
	if err := secretFlags(o.secrets).check(); err != nil {
		return err
	}
	for _, text := range o.secrets {
		name, _, _ := strings.Cut(text, "=")
		if !slices.Contains(fn.Secrets, name) {
			fn.Secrets = append(fn.Secrets, name)
		}
	}
	for _, text := range o.grants {
		if err := grantTo(&fn.Permissions, text); err != nil {
			return fmt.Errorf("--grant %s: %w", text, err)
		}
	}
	return nil
}

// What a manifest takes, too.
const (
	minFunctionMemory = 64 << 10
	maxFunctionMemory = 1 << 30
	maxRunTime        = 15 * time.Minute
)

func (o *invokeOptions) limits(l *agent.Limits) error {
	if o.repeat < 1 {
		return errors.New("--repeat is at least 1")
	}
	if o.timeout != "" {
		var timeout fleetsync.Duration
		if err := timeout.UnmarshalText([]byte(o.timeout)); err != nil {
			return fmt.Errorf("--timeout: %w", err)
		}
		if l.Timeout = time.Duration(timeout); l.Timeout > maxRunTime {
			return fmt.Errorf("--timeout: %s is longer than 15m", l.Timeout)
		}
	}
	if o.memory != "" {
		var memory fleetsync.Quantity
		if err := memory.UnmarshalText([]byte(o.memory)); err != nil {
			return fmt.Errorf("--memory: %w", err)
		}
		if l.Memory = int64(memory); l.Memory < minFunctionMemory || l.Memory > maxFunctionMemory {
			return fmt.Errorf("--memory: %s is out of range: 64Ki to 1Gi", memory)
		}
	}
	if o.fuel != "" {
		fuel, err := strconv.ParseInt(o.fuel, 10, 64)
		if err != nil || fuel < 0 {
			return fmt.Errorf("--fuel: %.40q is no amount of fuel: a whole number of units, or 0 for as much as the timeout allows", o.fuel)
		}
		l.Fuel = fuel
	}
	return nil
}

// functionNotes are what a person should know of the function on devices.
func functionNotes(fn *agent.Function, o *invokeOptions) []string {
	var out []string
	if fn.Size > wasm.DefaultModuleSize {
		out = append(out, fmt.Sprintf("the module has %s: devices take %s unless their limits.module says more",
			agent.BytesText(fn.Size), agent.BytesText(wasm.DefaultModuleSize)))
	}
	for _, name := range fn.Secrets {
		if !slices.ContainsFunc(o.secrets, func(s string) bool { return strings.HasPrefix(s, name+"=") }) {
			out = append(out, fmt.Sprintf("secret %s has no value here: give it one with --secret %s=VALUE", name, name))
		}
	}
	return out
}

// parseSettings reads the values of --env.
func parseSettings(texts []string) (map[string]string, error) {
	env := map[string]string{}
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--env %q is not NAME=VALUE", text)
		}
		env[name] = value
	}
	return env, nil
}

// grantTo adds one permission, written as publish=…, invoke=… or http=….
func grantTo(p *agent.Permissions, text string) error {
	kind, what, _ := strings.Cut(text, "=")
	switch kind {
	case "publish":
		p.Publish = append(p.Publish, what)
		return agent.CheckFilter(what)
	case "invoke":
		p.Invoke = append(p.Invoke, what)
		where, name, _ := strings.Cut(what, "/")
		if name == "" || where != "central" && where != "local" {
			return errors.New("write invoke=central/TARGET or invoke=local/FUNCTION")
		}
		return nil
	case "http":
		p.HTTP = append(p.HTTP, what)
		_, err := agent.ParseHTTPGrant(what)
		return err
	}
	return errors.New("write publish=FILTER, invoke=central/TARGET, invoke=local/FUNCTION or http=HOST")
}
