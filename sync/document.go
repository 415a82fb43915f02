package fleetsync

// App says what runs: an immutable, versioned set of functions and triggers
// that is deployed as one unit.
type App struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Metadata   AppMetadata  `json:"metadata"`
	Requires   *AppRequires `json:"requires,omitempty"`
	// StateVersion is the shape of the state of its functions. A version of the
	// app with another one begins on a copy of the state.
	StateVersion int                    `json:"stateVersion,omitempty"`
	Functions    map[string]AppFunction `json:"functions,omitempty"` // none in an app of rules alone
	Triggers     []AppTrigger           `json:"triggers,omitempty"`
}

// AppMetadata names an App.
type AppMetadata struct {
	Name        string            `json:"name"`
	Version     string            `json:"version"` // semantic version, without a leading v
	Description string            `json:"description,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// AppRequires is what a device must be to run an App; what is absent is not asked.
type AppRequires struct {
	Agent    string   `json:"agent,omitempty"` // ">=0.4.0"
	Arch     []string `json:"arch,omitempty"`  // GOARCH, one of them
	Memory   Quantity `json:"memory,omitempty"`
	Disk     Quantity `json:"disk,omitempty"`
	Engine   string   `json:"engine,omitempty"`   // "compiler" or "interpreter"
	Features []string `json:"features,omitempty"` // names, all of them
}

// AppFunction is one function of an App.
type AppFunction struct {
	Module      AppModule         `json:"module"`
	Env         map[string]string `json:"env,omitempty"`
	Secrets     []string          `json:"secrets,omitzero"` // names; the values stay on the device
	Limits      AppLimits         `json:"limits,omitzero"`
	Permissions AppPermissions    `json:"permissions,omitzero"`
	Followups   []AppFollowup     `json:"followups,omitempty"`
	Log         *AppLog           `json:"log,omitempty"`
	Isolation   string            `json:"isolation,omitempty"` // "warm" (default) or "fresh"
	Priority    *int              `json:"priority,omitempty"`  // 0 to 9, absent is 5
	KeepWarm    bool              `json:"keepWarm,omitempty"`
	IdleAfter   Duration          `json:"idleAfter,omitempty"`
}

// AppModule names a function's module, WebAssembly or JavaScript: by Path while
// it is being written, by Digest and Size once it is published.
type AppModule struct {
	Path   string `json:"path,omitempty"` // relative to the document
	Ref    string `json:"ref,omitempty"`  // for people; devices fetch by digest
	Digest string `json:"digest,omitempty"`
	Size   int64  `json:"size,omitempty"` // bytes
	// Patches are shorter ways to the module, smallest first. Publish makes them.
	Patches []AppPatch `json:"patches,omitempty"`
}

// AppPatch makes a module of another one, or of nothing.
type AppPatch struct {
	From   string `json:"from"`   // digest of the module it is applied to; of no bytes: of nothing
	Digest string `json:"digest"` // of the patch
	Size   int64  `json:"size"`   // bytes of the patch
	Format string `json:"format"` // "zstd": a frame, From its raw dictionary
}

// Whole tells that it makes the module of nothing: it is the module, compressed.
func (p *AppPatch) Whole() bool { return p.From == fromNothing }

// AppLimits bound a function; what is absent is the agent's default.
type AppLimits struct {
	Memory      Quantity `json:"memory,omitempty"`
	Timeout     Duration `json:"timeout,omitempty"`
	Concurrency *int     `json:"concurrency,omitempty"`
	Queue       *int     `json:"queue,omitempty"`
	Inbox       Quantity `json:"inbox,omitempty"`
	State       Quantity `json:"state,omitempty"`
	Output      Quantity `json:"output,omitempty"`
	Outputs     *int     `json:"outputs,omitempty"`
	Fuel        int64    `json:"fuel,omitempty"` // units of work; 0: as much as Timeout allows
	Calls       *int     `json:"calls,omitempty"`
	Uplink      Quantity `json:"uplink,omitempty"` // a day
}

// AppPermissions are what a function is granted; what is absent is denied. A
// list that is there and empty says that its author wants none: nil and empty
// differ, see checkGrants.
type AppPermissions struct {
	Publish []string `json:"publish,omitzero"` // MQTT topic filters
	Invoke  []string `json:"invoke,omitzero"`  // "central/<target>" or "local/<function>"
	HTTP    []string `json:"http,omitzero"`    // see agent.ParseHTTPGrant
}

// AppFollowup says how the follow-ups of a function to a target travel.
type AppFollowup struct {
	Target     string   `json:"target"`
	Priority   *int     `json:"priority,omitempty"`   // 0 to 9, absent is 5
	TTL        Duration `json:"ttl,omitempty"`        // absent is for ever
	KeepLatest *bool    `json:"keepLatest,omitempty"` // of those that wait with one key only the newest goes
	Over       string   `json:"over,omitempty"`       // the budget: "wait" (default) or "drop"
}

// AppLog says which log lines of a function leave the device.
type AppLog struct {
	Level  string `json:"level,omitempty"`  // debug, info, warn, error, off; absent is the device's
	Sample *int   `json:"sample,omitempty"` // every so many-th line of info and below; absent is 1
}

// AppTrigger starts a function, or without one is a rule: what it does stands
// in Then alone. Exactly one of MQTT, Schedule, HTTP, Source and Inside is set.
type AppTrigger struct {
	Name       string           `json:"name,omitempty"` // required for a rule
	Function   string           `json:"function,omitempty"`
	MQTT       *MQTTTrigger     `json:"mqtt,omitempty"`
	Schedule   *ScheduleTrigger `json:"schedule,omitempty"`
	HTTP       *HTTPTrigger     `json:"http,omitempty"`
	Source     *SourceTrigger   `json:"source,omitempty"`
	Inside     *InsideTrigger   `json:"inside,omitempty"`
	When       string           `json:"when,omitempty"`
	Key        string           `json:"key,omitempty"` // expression; absent is the topic
	Dedupe     *AppDedupe       `json:"dedupe,omitempty"`
	OnChange   []string         `json:"onChange,omitempty"` // expressions
	Deadband   *AppDeadband     `json:"deadband,omitempty"`
	RateLimit  *AppRateLimit    `json:"rateLimit,omitempty"`
	Debounce   *AppDebounce     `json:"debounce,omitempty"`
	Batch      *AppBatch        `json:"batch,omitempty"`
	Window     *AppWindow       `json:"window,omitempty"`
	Order      string           `json:"order,omitempty"`      // "topic" (default) or "none"
	Durability string           `json:"durability,omitempty"` // "sync", "none" or "interval(50ms)"
	Retry      *AppRetry        `json:"retry,omitempty"`
	Then       []AppThen        `json:"then,omitempty"`
}

// HTTPTrigger takes what is posted to /in/<path> of the device.
type HTTPTrigger struct {
	Path string `json:"path"` // "orders/{id}": levels as in a topic filter
}

// SourceTrigger takes the events of a source that the device names: files, the
// lines of a file, the lines that a process prints.
type SourceTrigger struct {
	Name  string `json:"name"`            // in the device's skerry.yaml
	Topic string `json:"topic,omitempty"` // filter; absent is "#"
}

// InsideTrigger takes what happens to the agent itself.
type InsideTrigger struct {
	Topic string `json:"topic"` // filter: "link/+/down"
}

// AppDeadband lets a number through that differs enough; By or Percent is set.
type AppDeadband struct {
	Of      string  `json:"of"` // expression
	By      float64 `json:"by,omitempty"`
	Percent float64 `json:"percent,omitempty"`
}

// AppRateLimit lets Count events of a key through in any time of Per.
type AppRateLimit struct {
	Count int      `json:"count"`
	Per   Duration `json:"per"`
}

// AppDebounce lets the last event of a key through after a pause.
type AppDebounce struct {
	Quiet  Duration `json:"quiet"`
	AtMost Duration `json:"atMost,omitempty"` // it runs then, pause or not
}

// AppBatch gathers events of a key; what is reached first ends it.
type AppBatch struct {
	Count int      `json:"count,omitempty"`
	Bytes Quantity `json:"bytes,omitempty"` // of data
	Time  Duration `json:"time,omitempty"`  // since the first
}

// AppWindow gathers events of a key by time; exactly one of Tumbling, Sliding
// and Session is set.
type AppWindow struct {
	Tumbling Duration `json:"tumbling,omitempty"` // length
	Sliding  Duration `json:"sliding,omitempty"`  // length
	Every    Duration `json:"every,omitempty"`    // of Sliding
	Session  Duration `json:"session,omitempty"`  // the pause that ends it
	AtMost   Duration `json:"atMost,omitempty"`   // of Session
	Time     string   `json:"time,omitempty"`     // expression; absent is when the event came
	Lateness Duration `json:"lateness,omitempty"`
	Late     string   `json:"late,omitempty"` // "drop" (default) or "run"
}

// AppDedupe has a trigger run once for events that say the same: in some fields,
// or in an expression. One of By and Key is set.
type AppDedupe struct {
	By     []string `json:"by,omitempty"`     // dotted paths in the event's JSON data
	Key    string   `json:"key,omitempty"`    // expression
	Window Duration `json:"window,omitempty"` // 0 is 10 min
}

// MQTTTrigger listens to a topic filter of a broker.
type MQTTTrigger struct {
	Topic    string `json:"topic"`              // filter, or "$share/<group>/<filter>"
	Broker   string `json:"broker,omitempty"`   // "" is the device's first
	QoS      *int   `json:"qos,omitempty"`      // 0, 1 or 2; absent is 1, and 2 runs as 1
	Retained string `json:"retained,omitempty"` // "handle" (default) or "ignore"
}

// ScheduleTrigger runs by the clock; exactly one of Every and Cron is set.
type ScheduleTrigger struct {
	Every    Duration `json:"every,omitempty"`
	Cron     string   `json:"cron,omitempty"`
	TimeZone string   `json:"timezone,omitempty"` // IANA name, for Cron
	Missed   string   `json:"missed,omitempty"`   // "skip" (default), "once" or "all"
	Jitter   Duration `json:"jitter,omitempty"`
}

// AppRetry says what happens after a failed run.
type AppRetry struct {
	MaxAttempts *int     `json:"maxAttempts,omitempty"`
	Backoff     Duration `json:"backoff,omitempty"`
	DeadLetter  string   `json:"deadLetter,omitempty"` // MQTT topic
}

// AppThen sends a result onwards; exactly one of Publish and Invoke is set.
type AppThen struct {
	Publish string `json:"publish,omitempty"` // topic, in which {name} is what was captured
	QoS     *int   `json:"qos,omitempty"`     // of Publish; absent is 1
	Retain  bool   `json:"retain,omitempty"`  // of Publish
	Invoke  string `json:"invoke,omitempty"`
	Data    any    `json:"data,omitempty"` // template: any JSON, with ${expression} in its texts; absent is the outcome
	When    string `json:"when,omitempty"` // "output" (default), "error" or "always"

	// As in AppFollowup, of Invoke central/<target>; absent is as there.
	Priority   *int     `json:"priority,omitempty"`
	TTL        Duration `json:"ttl,omitempty"`
	KeepLatest *bool    `json:"keepLatest,omitempty"`
	Over       string   `json:"over,omitempty"`
}

// Fleet says which devices run which version of which app.
type Fleet struct {
	APIVersion  string        `json:"apiVersion"`
	Kind        string        `json:"kind"`
	Metadata    FleetMetadata `json:"metadata"`
	Paused      bool          `json:"paused,omitempty"` // every device keeps what it runs
	Sync        FleetSync     `json:"sync,omitzero"`
	Assignments []Assignment  `json:"assignments"`
}

// FleetMetadata names a Fleet; Revision grows with every publish.
type FleetMetadata struct {
	Name     string `json:"name"`
	Revision int64  `json:"revision,omitempty"`
}

// FleetSync tells devices how often to look, and what to keep.
type FleetSync struct {
	PollInterval Duration `json:"pollInterval,omitempty"`
	Jitter       Duration `json:"jitter,omitempty"`
	KeepVersions *int     `json:"keepVersions,omitempty"` // sets of modules on a device, the running one counted; absent is 2
}

// Assignment gives matching devices a version of an app. For each app the
// first assignment that matches a device counts.
type Assignment struct {
	App      string    `json:"app"`
	Version  string    `json:"version"` // or "none": these devices do not run it
	Selector *Selector `json:"selector,omitempty"`
	Percent  *float64  `json:"percent,omitempty"`
	Paused   bool      `json:"paused,omitempty"` // matching devices keep the version they run
	Health   *Health   `json:"health,omitempty"` // absent is the usual gate
}

// Health is the gate that a new version of an app must pass on a device. What is
// absent is not asked, or has the usual value that is given.
type Health struct {
	Window          Duration `json:"window,omitempty"`          // of probation; 10 min
	MinInvocations  *int     `json:"minInvocations,omitempty"`  // fewer are not judged by percent and time; 20
	MaxErrorPercent *float64 `json:"maxErrorPercent,omitempty"` // of the runs; 10
	MaxP99          Duration `json:"maxP99,omitempty"`          // of the time of a run
	MaxTraps        *int     `json:"maxTraps,omitempty"`        // runs that trapped
	MaxMemory       Quantity `json:"maxMemory,omitempty"`       // of one instance
	OnFailure       string   `json:"onFailure,omitempty"`       // "rollback" (default) or "keep"
}

// Selector matches a device when all of its conditions hold.
type Selector struct {
	MatchLabels      map[string]string `json:"matchLabels,omitempty"`
	MatchExpressions []Expression      `json:"matchExpressions,omitempty"`
	Devices          []string          `json:"devices,omitempty"`
}

// Expression is one condition over a label, as in Kubernetes.
type Expression struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"` // In, NotIn, Exists, DoesNotExist
	Values   []string `json:"values,omitempty"`
}

const (
	apiVersion  = "skerry/v1"
	versionNone = "none"
)
