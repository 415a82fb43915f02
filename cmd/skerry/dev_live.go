package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/cases"
	"github.com/skerry-edge/skerry/internal/recording"
	"github.com/skerry-edge/skerry/sensors"
)

const (
	devTick    = 100 * time.Millisecond // what falls due is at most so late
	devWaiting = 1000                   // events that wait while something is built or runs
)

// offered is an event that a source offers.
type offered struct {
	ev   *agent.Event
	done func(error)
}

// stagedDev is an app that runs, by a clock that follows the real one.
type stagedDev struct {
	*dev
	play    theatre
	show    *devShow
	modules *devModules
	sources []agent.Source
	events  chan offered
	number  int
}

// devModules are the modules of the version that runs, and, while another is put in
// its place, of that.
type devModules struct {
	mu  sync.Mutex
	all modulesOf
}

func (m *devModules) Blob(d agent.Digest) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all.Blob(d)
}

func (m *devModules) set(all modulesOf) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = all
}

// change has more modules there while apply puts them in place: those from before are
// kept if it fails, and forgotten if not, however often somebody saves.
func (m *devModules) change(more modulesOf, apply func() error) error {
	before := m.all // only this changes it
	both := maps.Clone(before)
	maps.Copy(both, more)
	m.set(both)
	err := apply()
	if err != nil {
		more = before
	}
	m.set(more)
	return err
}

// live runs the app on events as they come, version after version, until ctx ends.
// An error says why the first version does not run.
func (d *dev) live(ctx context.Context, b *devBuild, builds <-chan *devBuild, lines <-chan string) error {
	h := recording.Header{Device: "local", Broker: recording.DefaultBroker, Start: time.Now().Round(0)}
	s := &stagedDev{dev: d, modules: &devModules{all: b.modules}, events: make(chan offered, devWaiting)}
	if err := s.listen(ctx); err != nil {
		return err
	}
	s.show = newDevShow(d, &b.deployment, h)
	if d.publish {
		conn, err := connectTo(ctx, d.broker, devClient(), nil)
		if err != nil {
			return usageError{err}
		}
		conn.start(func(error) {})
		defer conn.close()
		s.show.publish = conn
	}
	st, err := openStage(h, s.modules, s.show, secretFlags(d.secrets).value)
	if err != nil {
		return err
	}
	s.play = theatre{stage: st, effects: s.show.effects, pace: &pacer{}, start: h.Start}
	return st.run(ctx, b.deployment, func(ctx context.Context) error { return s.loop(ctx, b, builds, lines) })
}

// devClient is a client id that nobody else has.
func devClient() string { return fmt.Sprintf("skerry-dev-%x", time.Now().UnixNano()) }

// listen makes the sources of events.
func (s *stagedDev) listen(ctx context.Context) error {
	quiet := slog.New(slog.DiscardHandler)
	s.sources = []agent.Source{sensors.NewSchedule("local", sensors.ScheduleOptions{Log: quiet})}
	if s.broker == "" {
		return nil
	}
	m, err := sensors.NewMQTT(sensors.MQTTOptions{
		Name: recording.DefaultBroker, Device: "local", URL: s.broker, ClientID: devClient(), Clean: true,
		MaxPacket: maxBrokerMessage, Log: quiet,
		Linked: func(why error) {
			if why != nil {
				s.say("the broker is away, and is tried again: %v", why)
				return
			}
			s.say("connected to the broker")
		},
	})
	if err != nil {
		return usageError{err}
	}
	s.sources = append(s.sources, m)
	return nil
}

// loop gives events to the functions and puts new versions in place, one after the
// other, so that what belongs together is shown together.
func (s *stagedDev) loop(ctx context.Context, b *devBuild, builds <-chan *devBuild, lines <-chan string) error {
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	s.started(ctx, b, "runs")
	for _, source := range s.sources {
		source.Follow(b.deployment.Triggers)
		running.Go(func() {
			if err := source.Run(ctx, s.offer); err != nil && ctx.Err() == nil {
				s.say("%v", err)
			}
		})
	}
	tick := time.NewTicker(devTick)
	defer tick.Stop()
	for {
		var err error
		select {
		case o := <-s.events:
			err = s.event(ctx, o)
		case line := <-lines:
			if ev := s.parse(line); ev != nil {
				err = s.event(ctx, offered{ev, func(error) {}})
			}
		case b := <-builds:
			s.swap(ctx, b)
		case <-tick.C:
			err = s.play.until(ctx, time.Since(s.play.start))
			s.show.told()
		case <-ctx.Done():
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// offer takes an event from a source. One for which there is no room comes again.
func (s *stagedDev) offer(ev *agent.Event, done func(error)) {
	select {
	case s.events <- offered{ev, done}:
	default:
		if done != nil {
			done(errors.New("events come faster than functions run"))
		}
	}
}

// event gives an event to the functions, waits for what it leads to, and shows it.
func (s *stagedDev) event(ctx context.Context, o offered) error {
	s.number++
	if o.ev.ID == "" {
		o.ev.ID = fmt.Sprintf("event-%d", s.number)
	}
	if o.done != nil {
		defer o.done(nil)
	}
	e := recording.Entry{At: time.Since(s.play.start), Event: o.ev}
	if err := s.play.until(ctx, e.At); err != nil {
		return err
	}
	return s.show.play(ctx, &s.play, &e)
}

// swap puts a version in the place of the one that runs. One that does not build or
// start leaves it there.
func (s *stagedDev) swap(ctx context.Context, b *devBuild) {
	if b.err != nil {
		s.say("%s; the version before runs on", firstFault(b.err))
		return
	}
	err := s.modules.change(b.modules, func() error { return s.play.stage.agent.Apply(ctx, b.deployment) })
	if err != nil {
		s.say("%v; the version before runs on", notStarted(err))
		return
	}
	s.show.follow(&b.deployment)
	for _, source := range s.sources {
		source.Follow(b.deployment.Triggers)
	}
	s.started(ctx, b, "runs now, with the state it had")
}

// started tells that a version runs, and tests it if asked.
func (s *stagedDev) started(ctx context.Context, b *devBuild, how string) {
	s.announce(b, how)
	s.tests(ctx)
}

// tests runs the tests beside the app.
func (d *dev) tests(ctx context.Context) {
	if !d.test {
		return
	}
	o := testOptions{output: "text", noBuild: true}
	if err := o.test(ctx, []string{d.dir()}, d.said, d.said); err != nil && ctx.Err() == nil {
		d.say("%v", err)
	}
}

// typed gives the lines of its input.
func (d *dev) typed(ctx context.Context, lines chan<- string) {
	sc := bufio.NewScanner(d.in)
	sc.Buffer(nil, maxBrokerMessage)
	for sc.Scan() {
		select {
		case lines <- sc.Text():
		case <-ctx.Done():
			return
		}
	}
	if err := sc.Err(); err != nil && ctx.Err() == nil {
		d.say("what is typed is not read any more: %v; end with Ctrl-C, and start again", err)
	}
}

// parse makes an event of a line, TOPIC DATA or POST PATH DATA; nil: it is none.
func (s *stagedDev) parse(line string) *agent.Event {
	topic, data, _ := strings.Cut(strings.TrimSpace(line), " ")
	via, check := "", agent.CheckTopic
	if topic == "POST" {
		via, check = agent.ViaHTTP, cases.CheckPath
		topic, data, _ = strings.Cut(strings.TrimSpace(data), " ")
		topic, _, _ = strings.Cut(strings.TrimPrefix(topic, "/in/"), "?") // as callers have it
	}
	if topic == "" && via == "" {
		return nil
	}
	if err := check(topic); err != nil {
		s.say("%.200v: type TOPIC DATA, such as sensors/s1 {\"temperature\":95}, or POST PATH DATA", err)
		return nil
	}
	return typedEvent(via, topic, []byte(strings.TrimSpace(data)))
}
