// Command skerry runs functions on a gateway, next to the data. See the
// README, or skerry --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // schedules name time zones, and small images have none

	"github.com/spf13/cobra"
)

// version is set by the build: -ldflags '-X main.version=1.2.3'.
var version = "dev"

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it was tried and did not work
	exitUsage  = 2 // wrong command line, configuration or manifest; nothing was tried

	exitUncommitted = 3 // skerry invoke: the function rejected the event, asked for a retry or failed
	exitStopped     = 4 // skerry invoke: the sandbox stopped the function

	exitMissing = 5 // skerry events, skerry logs: more came than was taken
)

// usageError marks an error that the person in front can mend.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitError marks an error that ends the program with a code of its own.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := rootCommand().ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	fmt.Fprintln(os.Stderr, "skerry:", err)
	var usage usageError
	var exit exitError
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &exit):
		return exit.code
	}
	return exitFailed
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "skerry",
		Short: "Run functions on a gateway, next to the data, also when the link is down",
		Long: `Skerry pulls functions from a registry, runs them as WebAssembly on
sensor events (MQTT, HTTP, files, processes, the clock), and sends up only
follow-ups to a central FaaS.

Exit codes: 0 done, 1 it did not work, 2 the command line, the configuration or
a manifest is wrong. Of invoke also: 3 the function did not commit, 4 the
sandbox stopped it. Of events and logs: 5 they missed some.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
	}
	// A version template of cobra's would do, but links in text/template, and with
	// it every method of every type: 3 MB.
	asked := root.Flags().BoolP("version", "v", false, "version for skerry")
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if *asked {
			return printVersion(cmd)
		}
		return cmd.Help()
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(runCommand(), demoCommand(), newCommand(), buildCommand(), publishCommand(), fleetCommand(), syncCommand(), statusCommand(),
		enrollCommand(), inspectCommand(), invokeCommand(), testCommand(), devCommand(), doctorCommand(), uplinkCommand(), deadletterCommand(), eventsCommand(), logsCommand(), deploymentsCommand(), pageCommand(), topCommand(), supportBundleCommand(), completionCommand(), manCommand(), schemaCommand(), versionCommand(), compileCommand())
	root.SuggestionsMinimumDistance = 2
	completeNames(root)
	groupCommands(root)
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  args(0, 0),
		RunE:  func(cmd *cobra.Command, _ []string) error { return printVersion(cmd) },
	}
}

func printVersion(cmd *cobra.Command) error {
	_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
	return err
}

// noSuchCommand refuses words that are no command, with the one that was meant.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	meant := "see " + cmd.CommandPath() + " --help"
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		meant = "did you mean " + cmd.CommandPath() + " " + near[0] + "?"
	}
	return usageError{fmt.Errorf("there is no command %q: %s", args[0], meant)}
}

// args checks the number of arguments, as a usage error.
func args(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch n := len(args); {
		case n < least:
			return usageError{fmt.Errorf("%s needs a file: see %s --help", cmd.Name(), cmd.CommandPath())}
		case n > most:
			return usageError{fmt.Errorf("%s does not know what to do with %q: see %s --help", cmd.Name(), args[most], cmd.CommandPath())}
		}
		return nil
	}
}

// checkOutput refuses output formats other than the known ones.
func checkOutput(format string) error {
	if format != "text" && format != "json" {
		return usageError{fmt.Errorf("-o %s is not known: use text or json", format)}
	}
	return nil
}
