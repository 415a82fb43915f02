package agent

import "time"

// UplinkStatus is what `skerry uplink` shows, as JSON.
type UplinkStatus struct {
	Targets []TargetStatus `json:"targets"` // also of targets that are not configured any more, while records wait for them
	Links   []LinkStatus   `json:"links"`
	Disk    UplinkDisk     `json:"disk"`
	Flash   FlashStatus    `json:"flash"`
}

// LinkStatus is one link's account.
type LinkStatus struct {
	Name      string            `json:"name"`
	Day       Account           `json:"day"`                 // of the device's own day
	Month     Account           `json:"month"`               //
	Yesterday Account           `json:"yesterday"`           // the last day before this one on which something went
	LastMonth Account           `json:"last_month"`          //
	Sent      int64             `json:"sent"`                // ever
	Received  int64             `json:"received"`            //
	Flying    int64             `json:"flying"`              // set aside for what is being sent: counts as used
	Functions []FunctionAccount `json:"functions,omitempty"` // of Day, those that sent
	Rate      int64             `json:"rate,omitempty"`      // bytes a second; 0: no bound
	Reserve   int64             `json:"reserve,omitempty"`   // of both limits, for records of priority 8 and 9
	Metered   []string          `json:"metered,omitempty"`   // windows in which the limits count; none: always
	Counts    bool              `json:"counts"`              // now is in one of them
	Changes   time.Time         `json:"changes_at,omitzero"` // when that changes next; zero: never
	Note      string            `json:"note,omitempty"`      // what a person should know
}

// Account is what a link has carried, with headers, of a limit on both ways together.
type Account struct {
	Used     int64 `json:"used"`            // while it was metered
	Limit    int64 `json:"limit,omitempty"` // 0: none
	Sent     int64 `json:"sent"`            // metered or not
	Received int64 `json:"received"`
}

// FunctionAccount is what the follow-ups and requests of one function took of a link.
type FunctionAccount struct {
	Name string `json:"name"` // app/function
	Account
}

// UplinkDisk is what waits for targets, of what it may take.
type UplinkDisk struct {
	Used  int64  `json:"used_bytes"` // about
	Limit int64  `json:"limit_bytes"`
	Full  string `json:"full"`           // what happens at the limit: evict or hold
	Note  string `json:"note,omitempty"` // what a person should know
}

// FlashStatus compares what the agent wrote to the device with what it took in
// and got rid of, since it started.
type FlashStatus struct {
	Written   int64 `json:"written_bytes"`   // to the block device, by the kernel's count; -1: not known here
	Accepted  int64 `json:"accepted_bytes"`  // data of events
	Delivered int64 `json:"delivered_bytes"` // to targets, as they go over the wire
}

// WaitingFilter chooses records that wait for a target, by all of what is set;
// the zero WaitingFilter chooses all.
type WaitingFilter struct {
	IDs      []uint64      `json:"ids,omitempty"`
	Priority *uint8        `json:"priority,omitempty"`
	Function string        `json:"function,omitempty"` // that decided it: app/function
	Older    time.Duration `json:"older,omitempty"`    // than that, by the time of its event
	Limit    int           `json:"limit,omitempty"`    // so many; 0: all
}

// Waiting is a record that waits for a target.
type Waiting struct {
	ID          uint64    `json:"id"` // a higher one came later
	Target      string    `json:"target"`
	Priority    uint8     `json:"priority"`
	Latest      bool      `json:"keep_latest,omitempty"`
	Shed        bool      `json:"over_drop,omitempty"` // over the budget it is dropped instead of waiting
	Key         string    `json:"key,omitempty"`
	Function    string    `json:"function,omitempty"`
	Trigger     string    `json:"trigger,omitempty"`
	Event       string    `json:"event"` // its id, which the far side gets
	Type        string    `json:"type,omitempty"`
	Time        time.Time `json:"time,omitzero"`
	Expires     bool      `json:"expires,omitempty"`
	Left        int64     `json:"expires_in_ms,omitempty"` // until it Expires; 0: not known
	ContentType string    `json:"content_type,omitempty"`
	Size        int       `json:"size"`                  // of the data, bytes
	Data        []byte    `json:"data_base64,omitempty"` // only of records that were asked for by ID
}

// NewWaiting describes a record that waits for a target, without its data.
// Without a clock it is not known when it expires.
func NewWaiting(r *Record, clock *Clock) Waiting {
	target, _, _, _ := SplitTarget(r.Queue)
	w := Waiting{
		ID: r.Seq, Target: target, Priority: r.Priority, Latest: r.Latest, Shed: r.Shed, Key: r.Key,
		Function: r.Function, Trigger: r.Trigger, Event: r.Event.ID, Type: r.Event.Type, Time: r.Event.Time,
		Expires: !r.Expires.IsZero(), ContentType: r.Event.ContentType, Size: len(r.Event.Data),
	}
	if clock != nil && w.Expires {
		w.Left = clock.Left(r.Expires).Milliseconds()
	}
	return w
}
