package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
)

// agentFlags are those of skerry invoke --agent.
func (o *invokeOptions) agentFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.agent, "agent", false, "try a function that is deployed, app/function, in the running agent")
	f.BoolVar(&o.commit, "commit", false, "with --agent: for good, through the triggers; what comes of it is kept and sent")
	f.BoolVar(&o.http, "http", false, "with --agent: make the requests of the function")
	f.StringVar(&o.via, "via", "", "with --agent: the broker or source it comes over (default that of the trigger)")
	f.StringVarP(&o.config, "config", "c", "/etc/skerry/skerry.yaml", "with --agent: configuration file of the agent")
	f.StringVar(&o.socket, "socket", "", "with --agent: the agent's unix socket, instead of a configuration file")
}

// checkAgent refuses flags that go with --agent only, or not at all.
func (o *invokeOptions) checkAgent(cmd *cobra.Command) error {
	wrong := []string{"commit", "http", "via", "config", "socket"}
	why := "--%s is for a running agent: add --agent"
	if o.agent {
		wrong = []string{"app", "function", "events", "timeout", "memory", "fuel", "env", "secret", "grant", "state", "repeat"}
		why = "--%s is not for --agent: there a function runs as it is deployed; leave it out"
	}
	for _, name := range wrong {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf(why, name)
		}
	}
	if o.commit && o.http {
		return errors.New("--commit makes requests as the function is granted: leave out --http")
	}
	return nil
}

// onAgent has the running agent try the event.
func (o *invokeOptions) onAgent(cmd *cobra.Command, function string) error {
	if app, name, ok := strings.Cut(function, "/"); !ok || app == "" || name == "" {
		return usageError{errors.New("--agent takes the function as app/function: skerry status lists those that are deployed")}
	}
	events, err := o.list(cmd.InOrStdin())
	if err != nil {
		return usageError{err}
	}
	socket, err := agentSocket(o.socket, o.config)
	if err != nil {
		return err
	}
	ask := admin.TryRequest{Function: function, Event: tryEventOf(events[0]), Commit: o.commit, HTTP: o.http}
	ask.Event.Via = o.via
	if o.commit {
		var told triedReport
		if err := admin.Try(cmd.Context(), socket, ask, &told); err != nil {
			return err
		}
		if err := told.print(cmd.OutOrStdout(), o.output); err != nil {
			return err
		}
		return told.err()
	}
	var r invokeReport
	if err := admin.Try(cmd.Context(), socket, ask, &r); err != nil {
		return err
	}
	if err := printReports(cmd.OutOrStdout(), []*invokeReport{&r}, o.output, false); err != nil {
		return err
	}
	return errOf([]*invokeReport{&r})
}

// tryEventOf is an event of the command line for an agent. What only stands for a
// name that was not given is left to that.
func tryEventOf(ev *agent.Event) admin.TryEvent {
	usual := localEvent()
	out := admin.TryEvent{ID: ev.ID, Type: ev.Type, Subject: ev.Subject, ContentType: ev.ContentType, DataBase64: ev.Data}
	if out.ID == usual.ID {
		out.ID = ""
	}
	if out.Type == usual.Type {
		out.Type = ""
	}
	return out
}

func (r *triedReport) print(w io.Writer, output string) error {
	if output == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	if _, err := fmt.Fprintf(w, "event     %s over %s\n", shown(r.Event), shown(r.Via)); err != nil {
		return err
	}
	for _, t := range r.Triggers {
		why := ""
		if t.Error != "" {
			why = ": " + shown(t.Error)
		}
		if _, err := fmt.Fprintf(w, "\ntrigger   %s starts %s: %s%s\n", shown(t.Trigger), shown(t.Function), t.Outcome, why); err != nil {
			return err
		}
		if t.Attempts == 0 {
			continue // it did not run
		}
		if err := t.invokeReport.print(w); err != nil {
			return err
		}
	}
	return nil
}

// err is nil if the event had its outcome for every trigger, and none gave it up.
func (r *triedReport) err() error {
	for _, t := range r.Triggers {
		if t.Outcome == outcomeDead || t.Outcome == outcomeWaiting {
			return exitError{fmt.Errorf("%s: %s: %s", t.Function, t.Outcome, t.Error), exitUncommitted}
		}
	}
	return nil
}
