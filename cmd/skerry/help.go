package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// commandGroups are who commands are for, in the order of skerry --help.
var commandGroups = []struct{ id, title, commands string }{
	{"author", "To write functions:", "new build test invoke dev inspect schema events demo"},
	{"fleet", "To publish them:", "publish fleet"},
	{"device", "On a device:", "run status top page logs deployments uplink deadletter sync doctor support-bundle enroll"},
	{"rest", "Other:", "completion man version help"},
}

// groupCommands has --help list commands by who they are for. Who belongs nowhere
// stands below.
func groupCommands(root *cobra.Command) {
	for _, g := range commandGroups {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, cmd := range root.Commands() {
			if strings.Contains(" "+g.commands+" ", " "+cmd.Name()+" ") {
				cmd.GroupID = g.id
			}
		}
	}
	root.SetHelpCommandGroupID("rest")
}
