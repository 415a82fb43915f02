package main

import (
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

// TestDeploymentsAreOneTable: what is told below an entry moves no column of another.
func TestDeploymentsAreOneTable(t *testing.T) {
	var out strings.Builder
	err := printDeployments(&out, agent.Deployments{Entries: []agent.DeploymentEntry{
		{App: "overheat", From: "1.1.0", To: "1.0.0", State: "rolled back", Reason: "a person asked for it", What: []string{"env LIMIT"}, Revision: 12},
		{App: "x", To: "1", State: "good", Reason: "it passed its health gate", Revision: 3},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	at := strings.Index(lines[0], "REVISION")
	for i, want := range map[int]string{1: "12", 4: "3"} {
		if row := []rune(lines[i]); string(row[at:]) != want {
			t.Errorf("line %d has %q below REVISION, want %q:\n%s", i, string(row[at:]), want, out.String())
		}
	}
	if lines[2] != "    env LIMIT" || lines[3] != "    a person asked for it" {
		t.Errorf("below the first entry:\n%s", out.String())
	}
}
