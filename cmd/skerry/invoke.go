package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/uplink"
)

// invokeOptions are the flags of skerry invoke.
type invokeOptions struct {
	data, topic, contentType string
	events                   string
	app, function            string
	timeout, memory, fuel    string
	env, secrets, grants     []string
	state                    string
	repeat                   int
	output                   string

	agent          bool // try it there
	commit, http   bool
	via            string
	config, socket string
}

func invokeCommand() *cobra.Command {
	var o invokeOptions
	cmd := &cobra.Command{
		Use:   "invoke [FILE.wasm|FILE.js|--app app.yaml|--agent FUNCTION] -d @event.json|TEXT|-",
		Short: "Run a function on this machine or in a running agent, and show what it decides",
		Long: `Run a function in the sandbox that devices have, with the limits and grants of
the flags, and show what it decides, what it logs and what it costs. Nothing is
published or sent; but with --grant http=HOST its requests are real.

With --app, the module, its settings, limits and permissions are those of a
manifest, and the flags come on top. In a folder with an app.yaml that one is
meant if nothing is named, built if its source has changed, with the events of
event.json if none is given.

With --agent, a function that is deployed runs in the running agent, with the
state, settings and secrets that it has there, and nothing is kept or sent; nor
are requests made, but with --http. With --commit the event is offered as a
source does: all triggers that take it run, and what they decide is kept and sent.

Data that is a CloudEvent in JSON (it has specversion) is taken apart: subject,
type and data come from it.

Exit codes: 0 committed, 1 the module does not load, 2 wrong command line or
manifest, 3 the function rejected the event, asked for a retry or failed, 4 the
sandbox stopped it, also while it started.`,
		Example: `  skerry invoke
  skerry invoke overheat.wasm --topic sensors/line-1/s1/temperature \
    -d '{"id":"s1","temperature":95}' --grant 'publish=alerts/#' --grant invoke=central/alerts
  skerry invoke handler.js -d @event.json --state state.json --repeat 100
  skerry invoke --app app.yaml --events event.json
  skerry invoke --agent overheat/overheat --topic sensors/line-1/s1/temperature -d '{"id":"s1","temperature":95}'`,
		Args: args(0, 1),
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := checkOutput(o.output); err != nil {
				return err
			}
			if len(files) == 0 {
				files = []string{""}
			}
			if err := o.checkAgent(cmd); err != nil {
				return usageError{err}
			}
			if o.agent {
				return o.onAgent(cmd, files[0])
			}
			return o.run(cmd, files[0])
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *invokeOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.data, "data", "d", "", "the event's data: text, @file, or - for standard input")
	f.StringVar(&o.events, "events", "", "JSON file with a list of events, {topic, contentType, data}, to run one after the other")
	f.StringVar(&o.topic, "topic", "", "the event's subject, as the MQTT topic is")
	f.StringVar(&o.contentType, "type", "", "the data's content type")
	f.StringVar(&o.app, "app", "", "manifest that the function is in, or its folder")
	f.StringVar(&o.function, "function", "", "its name there, if there are several")
	f.StringVar(&o.timeout, "timeout", "", `limits.timeout, such as "500ms" (default as on a device like this)`)
	f.StringVar(&o.memory, "memory", "", `limits.memory, such as "64Mi" (default 16Mi)`)
	f.StringVar(&o.fuel, "fuel", "", "limits.fuel, units of work (default as much as the timeout allows)")
	f.StringArrayVar(&o.env, "env", nil, "setting, NAME=VALUE; may be repeated")
	f.StringArrayVar(&o.secrets, "secret", nil, "secret, NAME=VALUE; may be repeated")
	f.StringArrayVar(&o.grants, "grant", nil, "permission: publish=FILTER, invoke=central/TARGET, invoke=local/FUNCTION or http=HOST; may be repeated")
	f.StringVar(&o.state, "state", "", "JSON file of the function's state, read before and written after a commit")
	f.IntVar(&o.repeat, "repeat", 1, "how often to run it for the event, as long as it commits")
	f.StringVarP(&o.output, "output", "o", "text", "text or json")
	o.agentFlags(f)
}

func (o *invokeOptions) run(cmd *cobra.Command, file string) error {
	if err := o.inFolder(cmd, file); err != nil {
		return err
	}
	fn, file, err := o.base(file)
	if err != nil {
		return usageError{err}
	}
	module, err := readModule(file)
	if err != nil {
		return err
	}
	if err := fleetsync.CheckModuleFile(file, module); err != nil {
		return fmt.Errorf("%s does not load: it %w", file, err)
	}
	fn.Digest, fn.Size = module.digest(), int64(len(module))
	if err := o.override(&fn); err != nil {
		return usageError{err}
	}
	events, err := o.list(cmd.InOrStdin())
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
	trial := invokeTrial{file: file, module: module, inv: agent.NewInvocation(&fn, state, outside), state: state, notes: functionNotes(&fn, o)}
	reports, err := trial.run(cmd.Context(), events, o.repeat)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(reports, func(r *invokeReport) bool { return r.committed > 0 }) {
		err = state.write(o.state)
	}
	if err := errors.Join(err, printReports(cmd.OutOrStdout(), reports, o.output, o.events != "")); err != nil {
		return err
	}
	return errOf(reports)
}

// outside is what the function reaches beyond its state.
func (o *invokeOptions) outside() (agent.Outside, error) {
	fetcher, err := uplink.NewFetcher(uplink.FetchOptions{})
	if err != nil {
		return agent.Outside{}, err
	}
	return agent.Outside{Fetch: fetcher, Secrets: secretFlags(o.secrets).value}, nil
}

// secretFlags are the values of --secret, NAME=VALUE.
type secretFlags []string

func (s secretFlags) check() error {
	for _, text := range s {
		if strings.IndexByte(text, '=') < 1 {
			return errors.New("--secret is NAME=VALUE") // not what was given: it may be the secret
		}
	}
	return nil
}

func (s secretFlags) value(name string) (string, bool) {
	i := slices.IndexFunc(s, func(s string) bool { return strings.HasPrefix(s, name+"=") })
	if i < 0 {
		return "", false
	}
	return s[i][len(name)+1:], true
}
