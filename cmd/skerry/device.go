package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
	"github.com/skerry-edge/skerry/internal/logbook"
	"github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/internal/when"
	"github.com/skerry-edge/skerry/sensors"
	mqttbroker "github.com/skerry-edge/skerry/sensors/broker"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/uplink"
	"github.com/skerry-edge/skerry/wasm"
)

// tuning is what the demo and tests set and a device leaves alone.
type tuning struct {
	maxBackoff time.Duration // of the targets
	poll       time.Duration // of the registry, over the configuration
}

// Directories in the data directory: of compiled functions, and of all that is
// durable.
const (
	compiledDir = "compiled"
	storeDir    = "store"
)

// device is the agent with everything around it: the only place where all
// rooms meet. It is wired sink first, so that nothing produces before its
// consumer is there, and stopped the other way round.
type device struct {
	cfg     Config
	log     *slog.Logger
	book    *logbook.Book // what log writes
	started time.Time

	clock     *agent.Clock // by which state and records expire
	store     *store.Store
	underway  *underway
	meters    []*uplink.Meter  // of cfg.Links
	targets   []*uplink.Outbox // of cfg.Targets, in their order
	brokers   []*uplink.Outbox
	beside    []runner // what targets and links do besides
	keeper    *uplink.Keeper
	written   int64           // to block devices by this process, before the store was opened
	fetcher   *uplink.Fetcher // of functions
	runtime   *wasm.Runtime
	sources   []source
	agent     *agent.Agent
	puller    *fleetsync.Puller // nil: no registry
	inside    *sensors.Inside   // what happens to the agent
	fleet     *fleetLink        // nil: no broker for it
	telemetry *telemetry
	history   *admin.History        // the last hour in figures
	front     atomic.Pointer[front] // nil: no page
	tries     atomic.Int32          // events that are tried now
	applied   atomic.Bool           // something was
	restored  atomic.Bool           // what was cached runs, or cannot
}

// source is what a device needs of its sources beyond agent.Source.
type source interface {
	agent.Source
	Status() agent.SourceStatus
}

// broker is a source that publishes as well.
type broker interface {
	source
	agent.Publisher
	uplink.Batch
}

// brokerKind is the kind of the outboxes of brokers.
const brokerKind = "broker"

// newDevice opens the data directory and wires everything. It starts nothing.
// An error that a person can mend is a usageError.
func newDevice(cfg Config, tune tuning, log *slog.Logger) (*device, error) {
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, usageError{fmt.Errorf("data: %w", err)}
	}
	book, log := newBook(log)
	written, clock := writtenBytes(), agent.NewClock(wallClock)
	st, err := store.Open(filepath.Join(cfg.Data, storeDir), store.Options{Quota: int64(cfg.Limits.Disk), Past: clock.Past, NoSync: noSync, Log: log})
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	d := &device{cfg: cfg, log: log, book: book, clock: clock, store: st, started: time.Now(), written: written}
	if d.underway, err = openUnderway(filepath.Join(cfg.Data, underwayFile)); err != nil {
		log.Warn("cannot note which runs are under way: should the agent die, it is not known of what", "err", err)
	}
	d.telemetry = newTelemetry(&d.cfg, d.store, d.started, d.log)
	if err := d.wire(tune); err != nil {
		return nil, errors.Join(usageError{err}, d.underway.close(), st.Close())
	}
	return d, nil
}

func (d *device) wire(tune tuning) error {
	if err := d.wireLinks(); err != nil {
		return err
	}
	if err := d.wireTargets(tune); err != nil {
		return err
	}
	d.wireKeeper()
	d.inside = sensors.NewInside(d.cfg.Device.ID, d.log)
	key, err := deviceKey(d.cfg.Data)
	if err != nil {
		return err
	}
	d.runtime = wasm.NewRuntime(d.store, wasm.Options{
		CacheDir: filepath.Join(d.cfg.Data, compiledDir), Key: key, Compiler: compiler(), ModuleSize: int64(d.cfg.Limits.Module), Log: d.log,
	})
	if d.fetcher, err = uplink.NewFetcher(uplink.FetchOptions{CAFile: d.cfg.HTTP.CAFile, Link: d.meter(d.cfg.linkOf(d.cfg.HTTP.Link))}); err != nil {
		return fmt.Errorf("http: %w", err)
	}
	brokers, err := d.wireBrokers()
	if err != nil {
		return err
	}
	d.sources = append(d.sources, d.inside, d.wireSchedule())
	if err := d.wireSources(); err != nil {
		return err
	}

	publishers := map[string]agent.Publisher{}
	for _, b := range brokers {
		name := b.Status().Name
		publishers[name] = b
		d.brokers = append(d.brokers, uplink.NewBatchOutbox(d.store.Levels(agent.QueueBroker(name)), d.store, b,
			uplink.Options{Name: name, Kind: brokerKind, Batch: 256, MaxBackoff: tune.maxBackoff, Sent: d.telemetry.sent(name), Log: d.log}))
	}
	var sources []agent.Source
	for _, s := range d.sources {
		sources = append(sources, s)
	}
	d.agent = agent.New(d.store, d.runtime, sources, agent.Options{
		Device: d.cfg.Device.ID, DefaultBroker: d.defaultBroker(), Publishers: publishers,
		Language: when.Language{}, Secrets: d.secret, Fetch: d.fetcher, Clock: d.clock, Linger: d.cfg.Linger, Group: groupSize, Underway: d.underway.memory(), Room: d.room, Settled: d.settled, Watch: d.telemetry.watcher(), Log: d.log,
	})
	if err := d.wireRegistry(tune); err != nil {
		return err
	}
	return d.wireFleet()
}

// secret gives a function the value of a secret that the device holds.
func (d *device) secret(name string) (string, bool) {
	for _, s := range d.cfg.Secrets {
		if s.Name != name {
			continue
		}
		value, err := s.Value()
		if err != nil {
			d.log.Error("a function asked for a secret that cannot be read", "err", err)
			return "", false
		}
		return value, true
	}
	return "", false
}

// room is how many bytes the disk has left for more than events.
func (d *device) room() int64 {
	room, err := d.store.Room(0)
	if err != nil {
		d.log.Error("the free space cannot be told", "err", err)
	}
	return room
}

// wireBrokers makes the sources that are brokers, the embedded one last.
func (d *device) wireBrokers() ([]broker, error) {
	var brokers []broker
	for _, b := range d.cfg.Brokers {
		m, err := sensors.NewMQTT(sensors.MQTTOptions{
			Name: b.Name, URL: b.URL, Username: b.Username, Password: b.Password, PasswordFile: b.PasswordFile, Will: b.will(),
			CAFile: b.CAFile, CertFile: b.CertFile, KeyFile: b.KeyFile, ClientID: b.ClientID,
			Device: d.cfg.Device.ID, KeepAlive: b.Keepalive, MaxPacket: int64(b.MaxPacket),
			Inflight: b.Inflight, Traced: d.telemetry.tracer != nil, Notes: notes{store: d.store}, Linked: d.linked(b.Name), Log: d.log,
		})
		if err != nil {
			return nil, err
		}
		brokers = append(brokers, m)
	}
	if l := d.cfg.Broker; l.Listen != "" {
		var users []sensors.User
		for _, u := range l.Users {
			users = append(users, sensors.User(u))
		}
		b, err := sensors.NewBroker(sensors.BrokerOptions{
			Name: l.Name, Listen: l.Listen, CertFile: l.CertFile, KeyFile: l.KeyFile,
			Users: users, Anonymous: l.Anonymous, Device: d.cfg.Device.ID, Log: d.log,
			Traced: d.telemetry.tracer != nil, Follow: d.telemetry.follow(l.Name),
			Path: filepath.Join(d.cfg.Data, "broker", "sessions"),
			Limits: mqttbroker.Limits{
				Clients: l.MaxClients, Packet: int(l.MaxPacket), Inflight: l.Inflight,
				Queue: l.Queue, QueueBytes: int(l.QueueBytes), Away: l.Away,
			},
		})
		if err != nil {
			return nil, err
		}
		brokers = append(brokers, b)
	}
	for _, b := range brokers {
		d.sources = append(d.sources, b)
	}
	return brokers, nil
}

// will is the last will in sensors' words.
func (b *BrokerConfig) will() *sensors.Will {
	if b.WillTopic == "" {
		return nil
	}
	return &sensors.Will{Topic: b.WillTopic, Payload: b.WillPayload, QoS: uint8(b.WillQoS), Retain: b.WillRetain}
}

// brokerNames are the names that triggers may use; the first is the default.
func (c *Config) brokerNames() []string {
	var names []string
	for _, b := range c.Brokers {
		names = append(names, b.Name)
	}
	if c.Broker.Listen != "" {
		names = append(names, c.Broker.Name)
	}
	return names
}

// device is what apps are bound to.
func (c *Config) device() fleetsync.Device {
	dev := fleetsync.Device{
		ID: c.Device.ID, Labels: map[string]string{}, Brokers: c.brokerNames(), Arch: runtime.GOARCH,
		Interpreted: wasm.Interpreted(), ModuleSize: int64(c.Limits.Module), Release: version,
		Disk: int64(c.Limits.Disk), Policy: c.Policy.policy(),
	}
	if total, _, err := memoryOf("/proc/meminfo"); err == nil { // else it is not known
		dev.Memory = total
	}
	for _, l := range c.Device.Labels {
		name, value, _ := strings.Cut(l, "=")
		dev.Labels[name] = value
	}
	dev.HTTP = c.HTTPIn.Listen != ""
	for _, s := range c.Sources {
		dev.Sources = append(dev.Sources, s.Name)
	}
	for _, t := range c.Targets {
		dev.Targets = append(dev.Targets, t.Name)
	}
	for _, s := range c.Secrets {
		dev.Secrets = append(dev.Secrets, s.Name)
	}
	return dev
}

func (d *device) defaultBroker() string {
	if names := d.cfg.brokerNames(); len(names) > 0 {
		return names[0]
	}
	return ""
}

func (d *device) wireRegistry(tune tuning) error {
	if d.cfg.Registry.Ref == "" {
		return nil
	}
	root, err := d.cfg.Registry.root()
	if err != nil {
		return fmt.Errorf("registry.root_file: %w", err)
	}
	reg, err := d.cfg.Registry.open(0, d.reached)
	if err != nil {
		return err
	}
	poll := d.cfg.Registry.Poll
	if tune.poll != 0 {
		poll = tune.poll
	}
	d.puller = fleetsync.NewPuller(reg, d.store, d, d.cfg.device(),
		fleetsync.PullerOptions{Root: root, Poll: poll, Checks: deviceChecks(), Health: d.health, Now: d.reached, Sure: d.clock.Sure, Log: d.log})
	return nil
}

// health tells what the functions did, for the health gates of new versions.
func (d *device) health() []agent.FunctionStatus {
	var s agent.Status
	d.agent.Status(&s)
	return s.Functions
}

// reached is the time that signatures and certificates are judged by. When documents
// were signed does not count here: a stolen key could say the year 2100, and no
// certificate of a registry would be good.
func (d *device) reached() time.Time {
	now, right := wallClock()
	return judgedBy(now, right, d.clock.Reached(), built())
}

// judgedBy is now while something keeps the clock right, though it was later once: a
// time server that lied must not stop updates for longer than it lies. Else it is the
// latest time that is known to have come.
func judgedBy(now time.Time, right bool, reached, built time.Time) time.Time {
	if !right {
		now = reached
	}
	if now.Before(built) {
		return built
	}
	return now
}

// run runs everything until ctx ends: first the sources stop and what they
// delivered is finished, then what consumes it.
func (d *device) run(ctx context.Context) error {
	socket, err := admin.Listen(d.cfg.Admin.Socket)
	if err != nil {
		return errors.Join(usageError{err}, d.close())
	}
	d.history = admin.NewHistory(d.status, d.agent.Latency)
	front, err := d.openPage()
	if err != nil {
		return errors.Join(usageError{err}, socket.Close(), d.close())
	}
	d.front.Store(front)
	d.hello()
	systemd := newSupervisor(d.log)
	under, stopUnder := context.WithCancel(context.WithoutCancel(ctx))
	defer stopUnder()
	var sinks sync.WaitGroup
	var storeErr error
	sinks.Go(func() { storeErr = d.store.Run(under) })
	sinks.Go(func() { d.book.Run(under) })
	stopTelemetry := d.startTelemetry(under)

	g, ctx := errgroup.WithContext(ctx)
	for _, o := range slices.Concat(d.targets, d.brokers) {
		g.Go(func() error { return o.Run(ctx) })
	}
	for _, r := range append(d.beside, d.keeper, d.history) {
		g.Go(func() error { return r.Run(ctx) })
	}
	g.Go(func() error { return d.agent.Run(ctx) })
	g.Go(func() error { return d.sync(ctx) })
	g.Go(func() error { return d.watch(ctx) })
	g.Go(func() error { return systemd.run(ctx, d.up, d.pulse) })
	g.Go(func() error {
		trimMemory(ctx)
		return nil
	})
	g.Go(func() error {
		return admin.Serve(ctx, socket, admin.WithLogin(d.api(), d.pageLink))
	})
	g.Go(func() error { return d.servePage(ctx, front) })
	err = errors.Join(g.Wait(), stopTelemetry())
	stopUnder()
	sinks.Wait()
	return errors.Join(err, storeErr, d.close())
}

func (d *device) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return errors.Join(d.runtime.Close(ctx), d.underway.close(), d.store.Close())
}

func (d *device) hello() {
	d.log.Info("skerry starts", "version", version, "device", d.cfg.Device.ID, "data", d.cfg.Data,
		"socket", d.cfg.Admin.Socket)
	if d.puller == nil {
		d.log.Warn("no registry is configured: nothing will run until registry.ref is set")
	}
}

// sync runs what is cached, then what the registry says from then on. What is
// cached but cannot run keeps the sources closed: opening them would
// acknowledge events that nothing handles.
func (d *device) sync(ctx context.Context) error {
	if d.puller == nil {
		if err := d.Apply(ctx, agent.Deployment{}); err != nil {
			return err
		}
		d.restored.Store(true)
		<-ctx.Done()
		return nil
	}
	err := d.puller.Restore(ctx)
	if errors.Is(err, fleetsync.ErrNothingCached) {
		err = d.Apply(ctx, agent.Deployment{})
	}
	if err != nil && ctx.Err() == nil {
		d.log.Error("cannot run what is cached: no event is taken until the registry has something that runs", "err", err)
	}
	d.restored.Store(true)
	return d.puller.Run(ctx)
}
