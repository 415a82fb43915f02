package agent

import "time"

// Deployments is what a device ran when, as `skerry deployments` shows it.
type Deployments struct {
	Entries  []DeploymentEntry `json:"entries"`  // the newest first
	Rollback []string          `json:"rollback"` // apps that a person may take back now
}

// DeploymentEntry is a change of what an app runs on a device, or of how it stands.
type DeploymentEntry struct {
	Time       time.Time `json:"time"`             // by the device's clock
	Unsure     bool      `json:"unsure,omitempty"` // nothing had set that right yet
	Generation uint64    `json:"generation"`       // of what runs since
	Revision   int64     `json:"revision"`         // of the fleet document
	App        string    `json:"app"`
	From       string    `json:"from,omitempty"`   // version that ran before; "" for none
	To         string    `json:"to,omitempty"`     // version that runs since; From if only the state is new
	Wanted     string    `json:"wanted,omitempty"` // what the fleet wants, if that is another
	State      string    `json:"state"`            // as in AppStatus, removed, or "rolled back": by a person
	What       []string  `json:"what,omitempty"`   // changes of the app's document, as its publisher saw them; what it gained first
	Reason     string    `json:"reason,omitempty"` // why State is so, for people
}
