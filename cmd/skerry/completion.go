package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
)

func completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print the code with which a shell completes commands and names",
		Long: `Print the code with which a shell completes skerry's commands and flags, and the
names that the running agent knows: functions, apps, targets, ids of dead letters.
Where no agent runs there are no names, at once and without a word.

  bash   skerry completion bash > /etc/bash_completion.d/skerry
         (needs the package bash-completion)
  zsh    skerry completion zsh > "${fpath[1]}/_skerry"
  fish   skerry completion fish > ~/.config/fish/completions/skerry.fish`,
		Example:   "  source <(skerry completion bash)",
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return usageError{fmt.Errorf("which shell? Name one of %s", strings.Join(shells, ", "))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			}
			return root.GenFishCompletion(out, true)
		},
	}
}

// completer gives the words that may stand where the cursor is.
type completer = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective)

// completeNames has commands and flags complete what the running agent knows.
func completeNames(root *cobra.Command) {
	of := map[string]completer{
		"logs":                 first(knownFunctions, knownApps),
		"deployments rollback": first(knownApps),
		"deadletter show":      first(knownLetters),
		"deadletter redrive":   all(knownLetters),
		"deadletter drop":      all(knownLetters),
	}
	for _, name := range []string{"show", "why", "drop", "retry", "pause", "resume"} {
		of["uplink "+name] = first(knownTargets)
	}
	flags := map[string][]lister{
		"deadletter list --function": {knownFunctions}, "deadletter redrive --function": {knownFunctions}, "deadletter drop --function": {knownFunctions},
		"uplink show --function": {knownFunctions}, "uplink drop --function": {knownFunctions}, "sync --retry": {knownApps},
	}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		path := strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), root.Name()), " ")
		switch give, ok := of[path]; {
		case ok:
			cmd.ValidArgsFunction = give
		case cmd.ValidArgsFunction == nil && cmd.Args != nil && cmd.Args(cmd, []string{"x"}) != nil: // it takes none
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
		completeFlag(cmd, "output", choices(cmd, "output", " or "))
		completeFlag(cmd, "level", []string{"debug", "info", "warn", "error"})
		completeFlag(cmd, "sort", topSorts)
		for _, flag := range []string{"function", "retry"} {
			if lists, ok := flags[path+" --"+flag]; ok {
				register(cmd, flag, all(lists...))
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// choices are the words that a flag's description names: "text, json or junit".
func choices(cmd *cobra.Command, flag, last string) []string {
	f := cmd.Flags().Lookup(flag)
	if f == nil || !strings.HasPrefix(f.Usage, "text") {
		return nil
	}
	return strings.Split(strings.ReplaceAll(f.Usage, last, ", "), ", ")
}

func completeFlag(cmd *cobra.Command, flag string, words []string) {
	if f := cmd.Flags().Lookup(flag); f == nil || f.Value.Type() != "string" || len(words) == 0 {
		return
	}
	register(cmd, flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	})
}

// register tells cobra of a flag's completer. It fails for flags that the command does
// not have, or that have one.
func register(cmd *cobra.Command, flag string, give completer) {
	if err := cmd.RegisterFlagCompletionFunc(flag, give); err != nil {
		return
	}
}

// lister gives names that the agent behind a socket knows, nothing without one.
type lister func(ctx context.Context, socket string) []string

// first completes the first argument only, all any that is not there yet.
func first(lists ...lister) completer {
	give := all(lists...)
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return give(cmd, args, begun)
	}
}

// completeWithin is how long somebody waits who presses Tab.
const completeWithin = 500 * time.Millisecond

func all(lists ...lister) completer {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(context.Background(), completeWithin)
		defer cancel()
		socket, err := agentSocket(flagText(cmd, "socket"), flagText(cmd, "config"))
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var words []string
		for _, list := range lists {
			for _, word := range list(ctx, socket) {
				name, _, _ := strings.Cut(word, "\t")
				if strings.HasPrefix(name, begun) && !slices.Contains(args, name) {
					words = append(words, word)
				}
			}
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

func flagText(cmd *cobra.Command, name string) string {
	if f := cmd.Flags().Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

// askNames makes words of an agent's status.
func askNames(pick func(s *agent.Status) []string) lister {
	return func(ctx context.Context, socket string) []string {
		s, err := admin.Status(ctx, socket)
		if err != nil {
			return nil
		}
		return pick(&s)
	}
}

var (
	knownFunctions = askNames(func(s *agent.Status) (names []string) {
		for i := range s.Functions {
			names = append(names, s.Functions[i].Name)
		}
		return names
	})
	knownApps = askNames(func(s *agent.Status) (names []string) {
		for _, app := range s.Apps {
			name, version, _ := strings.Cut(app, "@")
			names = append(names, name+"\t"+version)
		}
		return names
	})
	knownTargets = askNames(func(s *agent.Status) (names []string) {
		for i := range s.Targets {
			if s.Targets[i].Kind != brokerKind {
				names = append(names, fmt.Sprintf("%s\t%s, %d wait", s.Targets[i].Name, s.Targets[i].Kind, s.Targets[i].Waiting))
			}
		}
		return names
	})
)

// knownLetters are those of the newest dead letters. The answer may come late: nobody is
// kept waiting for it.
func knownLetters(ctx context.Context, socket string) (ids []string) {
	answer := make(chan []agent.DeadLetter, 1)
	go func() {
		list, err := admin.Box{Path: socket}.List(agent.DeadFilter{})
		if err != nil {
			list = nil
		}
		answer <- list
	}()
	select {
	case list := <-answer:
		for _, l := range slices.Backward(list[max(0, len(list)-100):]) {
			ids = append(ids, fmt.Sprintf("%d\t%s: %s", l.ID, waitsFor(l.Queue), plainText([]byte(oneLine(l.Reason)))))
		}
	case <-ctx.Done():
	}
	return ids
}
