package agent

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// Digest names bytes by their SHA-256: "sha256:" and 64 hex digits.
type Digest string

// Short is the first 12 hex digits, for people and derived ids.
func (d Digest) Short() string {
	hex := strings.TrimPrefix(string(d), "sha256:")
	return hex[:min(12, len(hex))]
}

// Function is a module with its limits, permissions and environment.
type Function struct {
	Name        string // "app/function"
	Digest      Digest // of the module's bytes
	Size        int64  // of the module, bytes
	Env         map[string]string
	Secrets     []string // names this function may read; values are given on the device
	Limits      Limits
	Permissions Permissions
	Ways        []TargetWay // of its follow-ups, where they differ from DefaultWay; at most one a target
	Log         LogRule
	Isolation   Isolation
	Priority    uint8         // 0 to 9: who runs first when the processor is busy
	Rule        bool          // no module: its result is the event, and its trigger's Then does the rest
	KeepWarm    bool          // never close idle instances
	IdleAfter   time.Duration // an instance unused for so long is closed; 0 means 5 min

	// StateSpace is where its state is, and its app's; all functions of an app are in one.
	// "" is the usual one. Any other, when it is new, begins as a copy of StateFrom, made
	// when all of the app that ran elsewhere has ended and before this runs. What is in
	// StateFrom stays as it was then, until a deployment names the same in both.
	StateSpace, StateFrom string
}

// Isolation says what an instance keeps between two runs.
type Isolation uint8

const (
	// IsolationWarm leaves memory as the last run left it: fastest.
	IsolationWarm Isolation = iota
	// IsolationFresh gives every run the state of the initialised instance.
	IsolationFresh
)

// same tells whether g is what f is, wherever its state came from once. A deployment
// asks for each of its functions.
func (f *Function) same(g *Function) bool {
	return f.Name == g.Name && f.Digest == g.Digest && f.Size == g.Size && maps.Equal(f.Env, g.Env) &&
		slices.Equal(f.Secrets, g.Secrets) && f.Limits == g.Limits && f.Permissions.same(&g.Permissions) && slices.Equal(f.Ways, g.Ways) && f.Log == g.Log &&
		f.Isolation == g.Isolation && f.Priority == g.Priority && f.Rule == g.Rule && f.KeepWarm == g.KeepWarm &&
		f.IdleAfter == g.IdleAfter && f.StateSpace == g.StateSpace
}

// Version tells one module of the function from another, in ids and for people.
func (f *Function) Version() string {
	if f.Rule {
		return "rule"
	}
	return f.Digest.Short()
}

// App is the application that Function belongs to.
func (f *Function) App() string {
	app, _, _ := strings.Cut(f.Name, "/")
	return app
}

// Limits bound one function. Zero fields mean the defaults in DefaultLimits.
type Limits struct {
	Memory      int64         // linear memory per instance, bytes
	Timeout     time.Duration // per invocation
	Concurrency int           // workers, each with an instance of its own
	Queue       int           // events waiting in memory, per worker
	Inbox       int64         // bytes waiting on disk, per function
	State       int64         // bytes of its state, and of its app's for what it may add there
	Output      int64         // bytes decided per invocation: result, publishes, follow-ups, state, logs
	Outputs     int           // publishes, follow-ups and emitted events per invocation
	Fuel        int64         // units of work per invocation, see wasm/README.md; 0: as much as Timeout allows
	Calls       int           // host calls per invocation
	Uplink      int64         // bytes that its follow-ups and requests may send up per day; 0: as many as the link may
}

// Way says how a follow-up travels.
type Way struct {
	Priority uint8         // 0 to 9, 9 goes first
	TTL      time.Duration // it is dropped when it has waited so long; 0: never
	Latest   bool          // of those that wait with the same key only the newest goes
	Shed     bool          // it is dropped, not kept waiting, when its link has no budget left
}

// DefaultWay is that of follow-ups of which nothing else is said.
var DefaultWay = Way{Priority: 5}

// TargetWay is the way of follow-ups to one target.
type TargetWay struct {
	Target string
	Way
}

// Way is how a follow-up of the function to target travels, if nothing else is
// said of it.
func (f *Function) Way(target string) Way {
	for i := range f.Ways {
		if f.Ways[i].Target == target {
			return f.Ways[i].Way
		}
	}
	return DefaultWay
}

// LogRule says which log lines of a function leave the device, where its logs do;
// the device's own log has all. The zero LogRule leaves that to the device.
type LogRule struct {
	Stated bool       // Level is the function's own; else that of the device counts
	Level  slog.Level // lines below it stay
	Off    bool       // all stay
	Sample int        // of the lines of level info and below every Sample-th goes; 0 means all
}

// DefaultLimits are the limits of a function that states none.
var DefaultLimits = Limits{
	Memory:      16 << 20,
	Timeout:     time.Second,
	Concurrency: 1,
	Queue:       256,
	Inbox:       32 << 20,
	State:       4 << 20,
	Output:      1 << 20,
	Outputs:     64,
	Calls:       10_000,
}

// Permissions are what a function was granted; what is absent is denied.
type Permissions struct {
	Publish []string // MQTT topic filters it may publish to
	Invoke  []string // "central/<target>" for follow-ups, "local/<function>" for emitted events
	HTTP    []string // what it may reach by http, see HTTPGrant
}

// MayPublish tells whether topic is within the granted filters.
func (p *Permissions) MayPublish(topic string) bool {
	return slices.ContainsFunc(p.Publish, func(filter string) bool { return MatchTopic(filter, topic) })
}

func (p *Permissions) same(q *Permissions) bool {
	return slices.Equal(p.Publish, q.Publish) && slices.Equal(p.Invoke, q.Invoke) && slices.Equal(p.HTTP, q.HTTP)
}

// MayInvoke tells whether where ("central/" or "local/") and name were granted.
func (p *Permissions) MayInvoke(where, name string) bool {
	return slices.ContainsFunc(p.Invoke, func(granted string) bool {
		return len(granted) == len(where)+len(name) && strings.HasPrefix(granted, where) && strings.HasSuffix(granted, name)
	})
}

// Deployment is this gateway's share of what the fleet runs.
type Deployment struct {
	Generation uint64
	Apps       []AppVersion
	Functions  []Function
	Triggers   []Trigger

	// Keep makes the deployment survive a restart. It is called when everything
	// has been loaded and nothing is switched yet: what ran has been kept. Nil:
	// nothing is to be done.
	Keep func() error
}

// AppVersion names one deployed application.
type AppVersion struct{ Name, Version string }
