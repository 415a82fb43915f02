package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/uplink"
	"github.com/skerry-edge/skerry/wasm"
)

// invokeOptions are the flags of skerry invoke.
type invokeOptions struct {
	data, topic, contentType string
	timeout                  time.Duration
	memory                   string
	fuel                     int64
	env, secrets, grants     []string
	state                    string
	repeat                   int
	output                   string
}

func invokeCommand() *cobra.Command {
	var o invokeOptions
	cmd := &cobra.Command{
		Use:   "invoke FILE.wasm|FILE.js -d @event.json|TEXT|-",
		Short: "Run a function once on this machine, and show what it decides",
		Long: `Run a function in the sandbox that devices have, with the limits and grants of
the flags, and show what it decides, what it logs and what it costs. Nothing is
published or sent; but with --grant http=HOST its requests are real.

Data that is a CloudEvent in JSON (it has specversion) is taken apart: subject,
type and data come from it.

Exit codes: 0 committed, 1 the module does not load, 2 wrong command line,
3 the function rejected the event, asked for a retry or failed, 4 the sandbox
stopped it.`,
		Example: `  skerry invoke overheat.wasm --topic sensors/line-1/s1/temperature \
    -d '{"id":"s1","temperature":95}' --grant 'publish=alerts/#' --grant invoke=central/alerts
  skerry invoke handler.js -d @event.json --state state.json --repeat 100`,
		Args: args(1, 1),
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := checkOutput(o.output); err != nil {
				return err
			}
			return o.run(cmd, files[0])
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.data, "data", "d", "", "the event's data: text, @file, or - for standard input")
	f.StringVar(&o.topic, "topic", "", "the event's subject, as the MQTT topic is")
	f.StringVar(&o.contentType, "type", "", "the data's content type")
	f.DurationVar(&o.timeout, "timeout", 0, "limits.timeout (default as on a device like this)")
	f.StringVar(&o.memory, "memory", "", `limits.memory, such as "64Mi" (default 16Mi)`)
	f.Int64Var(&o.fuel, "fuel", 0, "limits.fuel (default as much as the timeout allows)")
	f.StringArrayVar(&o.env, "env", nil, "setting, NAME=VALUE; may be repeated")
	f.StringArrayVar(&o.secrets, "secret", nil, "secret, NAME=VALUE; may be repeated")
	f.StringArrayVar(&o.grants, "grant", nil, "permission: publish=FILTER, invoke=central/TARGET, invoke=local/FUNCTION or http=HOST; may be repeated")
	f.StringVar(&o.state, "state", "", "JSON file of the function's state, read before and written after a commit")
	f.IntVar(&o.repeat, "repeat", 1, "how often to run it for the event, as long as it commits")
	f.StringVarP(&o.output, "output", "o", "text", "text or json")
	return cmd
}

func (o *invokeOptions) run(cmd *cobra.Command, file string) error {
	module, err := readModule(file)
	if err != nil {
		return err
	}
	fn, err := o.function(file, module)
	if err != nil {
		return usageError{err}
	}
	ev, err := o.event(cmd.InOrStdin())
	if err != nil {
		return usageError{err}
	}
	state, err := openState(o.state)
	if err != nil {
		return usageError{err}
	}
	outside, err := o.outside()
	if err != nil {
		return err
	}
	r := invokeReport{File: file, Function: fn.Name}
	if err := r.fill(cmd.Context(), module, agent.NewInvocation(&fn, state, outside), ev, o.repeat, state); err != nil {
		return err
	}
	if r.committed > 0 {
		if err := state.write(o.state); err != nil {
			return err
		}
	}
	if err := r.print(cmd.OutOrStdout(), o.output); err != nil {
		return err
	}
	return r.err()
}

// function is what the flags make of the module.
func (o *invokeOptions) function(file string, module oneModule) (agent.Function, error) {
	fn := agent.Function{
		Name: functionName(file), Digest: module.digest(), Size: int64(len(module)),
		Env: map[string]string{}, Limits: fleetsync.DefaultLimits(wasm.Interpreted()),
	}
	switch {
	case o.timeout < 0 || o.fuel < 0:
		return fn, errors.New("--timeout and --fuel cannot be negative")
	case o.repeat < 1:
		return fn, errors.New("--repeat is at least 1")
	case o.timeout > 0:
		fn.Limits.Timeout = o.timeout
	}
	fn.Limits.Fuel = o.fuel
	if o.memory != "" {
		var memory fleetsync.Quantity
		if err := memory.UnmarshalText([]byte(o.memory)); err != nil {
			return fn, fmt.Errorf("--memory: %w", err)
		}
		fn.Limits.Memory = int64(memory)
	}
	for _, text := range o.env {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return fn, fmt.Errorf("--env %q is not NAME=VALUE", text)
		}
		fn.Env[name] = value
	}
	for _, text := range o.secrets {
		name, _, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return fn, errors.New("--secret is NAME=VALUE") // not what was given: it may be the secret
		}
		fn.Secrets = append(fn.Secrets, name)
	}
	for _, text := range o.grants {
		if err := grantTo(&fn.Permissions, text); err != nil {
			return fn, fmt.Errorf("--grant %s: %w", text, err)
		}
	}
	return fn, nil
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

// outside is what the function reaches beyond its state.
func (o *invokeOptions) outside() (agent.Outside, error) {
	fetcher, err := uplink.NewFetcher(uplink.FetchOptions{})
	if err != nil {
		return agent.Outside{}, err
	}
	return agent.Outside{Fetch: fetcher, Secrets: func(name string) (string, bool) {
		i := slices.IndexFunc(o.secrets, func(s string) bool { return strings.HasPrefix(s, name+"=") })
		if i < 0 {
			return "", false
		}
		return o.secrets[i][len(name)+1:], true
	}}, nil
}

// fill loads the module and gives it the event, as often as asked or until a
// run does not commit. An error says that nothing could be run.
func (r *invokeReport) fill(ctx context.Context, module oneModule, inv *agent.Invocation, ev *agent.Event, times int, state *fileState) (err error) {
	rt := sandbox(module, func(level slog.Level, text string) {
		r.Start = append(r.Start, logReport{strings.ToLower(level.String()), text})
	})
	defer closing(&err, rt.Close)
	begin := time.Now()
	m, err := rt.Load(ctx, *inv.Function)
	if err != nil {
		return fmt.Errorf("%s does not load: %s", r.File, loadText(err, inv.Function.Name))
	}
	r.Usage.Load = time.Since(begin)
	defer closing(&err, m.Close)
	for n := 1; n <= times && r.cause == nil; n++ {
		run := *ev
		run.Time = time.Now()
		if n > 1 {
			run.ID += fmt.Sprintf("-%d", n)
		}
		inv.Begin(&run, inv.Function.Name, 1)
		begin := time.Now()
		r.cause = m.Invoke(ctx, inv)
		r.times = append(r.times, time.Since(begin))
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if r.cause == nil {
			r.committed++
			state.apply(inv.Effects.Writes)
		}
	}
	r.conclude(inv)
	return nil
}
