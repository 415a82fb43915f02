package main

import (
	"os"

	"github.com/spf13/cobra"
)

// eventFile is what skerry new calls the events to try a function with.
const eventFile = "event.json"

// inFolder has the function of the app in this folder run if nothing is named, of
// its present source, and for the events there if there are and none is given.
func (o *invokeOptions) inFolder(cmd *cobra.Command, file string) error {
	if _, err := os.Stat(appFile); err != nil || file != "" || o.app != "" {
		return nil
	}
	name, app, err := openApp(appFile)
	if err != nil {
		return err
	}
	o.app = name
	if _, err := os.Stat(eventFile); err == nil && o.data == "" && o.events == "" && o.topic == "" {
		o.events = eventFile
	}
	_, err = buildModules(cmd.Context(), name, app, cmd.ErrOrStderr(), false)
	return err
}
