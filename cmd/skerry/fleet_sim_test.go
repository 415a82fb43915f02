package main

import (
	"encoding/json"
	"testing"

	"github.com/skerry-edge/skerry/internal/fleetsim"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// TestABadReleaseShowsInFleetStatus rehearses a release of which each fifth run
// fails, on a tenth of 100 devices that report to a broker: skerry fleet status
// tells who went back from it, and why.
func TestABadReleaseShowsInFleetStatus(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	url := broker.URL
	out, err := skerryCommand(t, "fleet", "sim", "--devices", "100", "--errors", "20%", "--steps", "10", "--hold", "1h", "--broker", url, "-o", "json")()
	if err != nil {
		t.Fatalf("rehearse: %v\n%s", err, out)
	}
	var steps []fleetsim.Step
	if err := json.Unmarshal([]byte(out), &steps); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	back := steps[len(steps)-1].RolledBack
	if out, err = skerryCommand(t, "fleet", "status", "--broker", url, "--fleet", fleetsim.FleetName, "-o", "json")(); err != nil {
		t.Fatalf("status: %v\n%s", err, out)
	}
	var view fleetView
	if err := json.Unmarshal([]byte(out), &view); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if back == 0 || view.Totals.Devices != 100 || view.Totals.RolledBack != back {
		t.Errorf("%d of %d devices are told to have gone back, %d did", view.Totals.RolledBack, view.Totals.Devices, back)
	}
	for _, app := range view.Apps {
		if app.Version == "0.0.0" && app.Devices != 100 || app.Version == "1.0.0" && (app.Devices != 0 || app.RolledBack != back) {
			t.Errorf("of %s@%s: %+v", app.App, app.Version, app)
		}
	}
}
