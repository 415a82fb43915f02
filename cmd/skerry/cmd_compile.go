package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/wasm/codecache"
)

// compileCommand is the process in which the agent compiles modules of
// strangers. Its arguments are between the agent and itself.
func compileCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "compile-module",
		Short:              "Compile a module from standard input, for the agent",
		Hidden:             true,
		DisableFlagParsing: true,
		Run: func(_ *cobra.Command, args []string) {
			os.Exit(codecache.Main(args, os.Stdin, os.Stdout, os.Stderr))
		},
	}
}
