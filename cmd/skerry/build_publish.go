package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/internal/author"
)

// orAppHere is files, or the manifest of this folder if there are none.
func orAppHere(files []string) ([]string, error) {
	if len(files) > 0 {
		return files, nil
	}
	file, err := appAt(".")
	return []string{file}, err
}

// buildForPublish builds the modules of the app that are not of their source.
func buildForPublish(cmd *cobra.Command, file string) error {
	file, app, err := openApp(file)
	if err != nil {
		return err
	}
	_, err = buildModules(cmd.Context(), file, app, cmd.ErrOrStderr(), false)
	var missing *author.MissingError
	if errors.As(err, &missing) {
		return fmt.Errorf("%w; or publish the module as it is, if it is there, with --no-build", err)
	}
	return err
}
