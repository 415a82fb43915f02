package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/docs/schema"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema app|fleet|test|config",
		Short: "Print the JSON Schema of a document, for editors",
		Long: `Print the JSON Schema (2020-12) of app.yaml, fleet.yaml, *_test.yaml or skerry.yaml,
with which editors complete keys and show what they mean. For editors that use
yaml-language-server, write this as the first line of app.yaml:

  # yaml-language-server: $schema=app.schema.json

What a schema lets pass, publish, test or run may still refuse: they know more.`,
		Example:   "  skerry schema app > app.schema.json",
		ValidArgs: schema.Names,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(schema.Names, args[0]) {
				return usageError{fmt.Errorf("which document? Name one of %s", strings.Join(schema.Names, ", "))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := schema.Of(args[0])
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
