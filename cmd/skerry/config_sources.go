package main

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors"
)

// HTTPInConfig is where events are posted to; it is off unless Listen is set.
type HTTPInConfig struct {
	Listen       string `key:"listen"` // host:port or unix:/path
	Token        string `key:"token"`  // from TokenFile if that is set
	TokenFile    string `key:"token_file"`
	CertFile     string `key:"cert_file"`
	KeyFile      string `key:"key_file"`
	ClientCAFile string `key:"client_ca_file"` // callers need a certificate of one of these
	MaxBody      Size   `key:"max_body"`       // this and those below: 0 for the source's own default
	Rate         int    `key:"rate"`           // requests a second of one client
	Burst        int    `key:"burst"`          // requests of one client at once
	MaxWaiting   int    `key:"max_waiting"`    // requests whose event is not durable yet
}

// SourceConfig is a source of this device's own. Which keys it has depends on
// its kind, see kindKeys.
type SourceConfig struct {
	Name      string        `key:"name"` // what triggers call it
	Kind      string        `key:"kind"` // files, tail or process
	Path      string        `key:"path"` // directory, or file to follow
	Glob      string        `key:"glob"`
	Recursive bool          `key:"recursive"`
	On        []string      `key:"on"`     // create, modify, rename, delete; nil for the first two
	Settle    time.Duration `key:"settle"` // 0 for the default
	Content   bool          `key:"content"`
	MaxSize   Size          `key:"max_size"`
	Then      string        `key:"then"`    // keep, delete or move
	MoveTo    string        `key:"move_to"` // directory
	Poll      time.Duration `key:"poll"`    // 0 for the source's own default
	From      string        `key:"from"`    // start or end
	MaxLine   Size          `key:"max_line"`
	Command   []string      `key:"command"`
	Dir       string        `key:"dir"`
	Env       []string      `key:"env"` // "NAME=value"
}

// kindKeys are the keys of each kind of source, beside name and kind.
var kindKeys = map[string][]string{
	"files":   {"path", "glob", "recursive", "on", "settle", "content", "max_size", "then", "move_to", "poll"},
	"tail":    {"path", "from", "max_line", "poll"},
	"process": {"command", "dir", "env", "max_line"},
}

const (
	defaultSettle = time.Second
	minPoll       = 10 * time.Millisecond
	maxPoll       = time.Hour
	maxFileData   = 16 << 20 // bytes of a file that is an event
	maxLineSize   = 1 << 20
)

// reserved are the names of sources that every device has.
var reserved = []string{agent.ViaSchedule, agent.ViaHTTP, agent.ViaInside}

// taken tells who has a name of a source already; "" is nobody.
func (c *Config) taken(name string) string {
	switch {
	case slices.Contains(reserved, name):
		return "the " + name + " source"
	case c.Broker.Listen != "" && name == c.Broker.Name:
		return "the embedded broker (broker.name)"
	case slices.ContainsFunc(c.Brokers, func(b BrokerConfig) bool { return b.Name == name }):
		return "a broker"
	}
	return ""
}

func (c *Config) checkSources(p *problems) {
	p.checkNames("sources", len(c.Sources), func(i int) string { return c.Sources[i].Name })
	for i := range c.Sources {
		at := fmt.Sprintf("sources[%d]", i)
		if who := c.taken(c.Sources[i].Name); who != "" {
			p.add(join(at, "name"), "%q is the name of %s: choose another", c.Sources[i].Name, who)
		}
		c.checkSource(at, &c.Sources[i], p)
	}
}

func (c *Config) checkSource(at string, s *SourceConfig, p *problems) {
	keys := kindKeys[s.Kind]
	if keys == nil {
		p.add(join(at, "kind"), "is files, tail or process, not %q", s.Kind)
		return
	}
	value := reflect.ValueOf(s).Elem()
	for i, key := range structKeys(value.Type()) {
		if !value.Field(i).IsZero() && key != "name" && key != "kind" && !slices.Contains(keys, key) {
			p.add(join(at, key), "is no key of a source of kind %s, which has %s", s.Kind, strings.Join(keys, ", "))
		}
	}
	if s.Poll != 0 && (s.Poll < minPoll || s.Poll > maxPoll) {
		p.add(join(at, "poll"), "is from 10ms to 1h, not %s", s.Poll)
	}
	p.checkRange(join(at, "max_line"), int64(s.MaxLine), 0, maxLineSize)
	switch s.Kind {
	case "files":
		s.checkFiles(at, p)
	case "tail":
		p.checkOneOf(join(at, "from"), s.From, "start", "end")
	default:
		s.checkProcess(at, p)
		return
	}
	c.checkWatched(at, s, p)
}

// checkWatched looks at what a source watches. It may come later, as a disk does
// that somebody plugs in.
func (c *Config) checkWatched(at string, s *SourceConfig, p *problems) {
	info, err := os.Stat(s.Path)
	switch {
	case s.Path == "":
		p.add(join(at, "path"), "is missing: it names what the source watches")
	case err != nil:
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s.path: %v; the source waits for it", at, err))
	case s.Kind == "files" && !info.IsDir():
		p.add(join(at, "path"), "%s is no directory; to follow one file, use kind: tail", s.Path)
	case s.Kind == "tail" && !info.Mode().IsRegular():
		p.add(join(at, "path"), "%s is no regular file; to watch a directory, use kind: files", s.Path)
	}
}

func (s *SourceConfig) checkFiles(at string, p *problems) {
	if _, err := path.Match(s.Glob, ""); err != nil {
		p.add(join(at, "glob"), "is a pattern such as *.csv, not %q", s.Glob)
	}
	if strings.Contains(s.Glob, "**") { // path.Match takes it for one *
		p.add(join(at, "glob"), "** is no pattern here: write %s, and recursive: true for directories below", strings.ReplaceAll(path.Base(s.Glob), "**", "*"))
	}
	for i, op := range s.On {
		p.checkOneOf(fmt.Sprintf("%s.on[%d]", at, i), op, sensors.FileOps...)
	}
	p.checkRange(join(at, "max_size"), int64(s.MaxSize), 0, maxFileData)
	if s.MaxSize != 0 && !s.Content {
		p.add(join(at, "max_size"), "is for files that are the data of their events: set content to true")
	}
	p.checkOneOf(join(at, "then"), s.Then, "keep", "delete", "move")
	if (s.Then == "move") != (s.MoveTo != "") {
		p.add(join(at, "move_to"), "and then: move go together: the directory is where files are moved to")
	}
	if s.MoveTo != "" && filepath.Clean(s.MoveTo) == filepath.Clean(s.Path) {
		p.add(join(at, "move_to"), "is path itself, so that each file would be new again: name another directory")
	}
}

func (s *SourceConfig) checkProcess(at string, p *problems) {
	err := sensors.CheckCommand(s.Command, s.Dir)
	if err != nil && len(s.Command) == 1 && len(strings.Fields(s.Command[0])) > 1 {
		err = fmt.Errorf("it is a list: write [%s]", quoted(strings.Fields(s.Command[0])))
	}
	if err != nil {
		p.add(join(at, "command"), "%v", err)
	}
	for i, pair := range s.Env {
		if name, _, ok := strings.Cut(pair, "="); !ok || name == "" {
			p.add(fmt.Sprintf("%s.env[%d]", at, i), "is NAME=value, such as UNIT=7, not %q", pair)
		}
	}
}

// quoted is words as items of a list in YAML.
func quoted(words []string) string {
	var items []string
	for _, word := range words {
		items = append(items, strconv.Quote(word))
	}
	return strings.Join(items, ", ")
}

func (c *Config) checkHTTPIn(p *problems) {
	h := &c.HTTPIn
	if h.Listen == "" {
		if *h != (HTTPInConfig{}) {
			c.Warnings = append(c.Warnings, "http_in has keys, but is off: set http_in.listen to start it")
		}
		return
	}
	open, err := sensors.CheckHTTPListen(h.Listen)
	switch {
	case err != nil:
		p.add("http_in.listen", "%v", err)
	case open && h.Token+h.TokenFile+h.ClientCAFile == "":
		p.add("http_in.token_file", "is missing: other machines reach %s, so set it, or client_ca_file, or listen on 127.0.0.1", h.Listen)
	}
	p.checkPair("http_in", h.CertFile, h.KeyFile)
	p.checkFile("http_in.client_ca_file", h.ClientCAFile)
	if h.ClientCAFile != "" && h.CertFile == "" {
		p.add("http_in.client_ca_file", "needs a certificate for this side too: set cert_file and key_file")
	}
	p.checkRange("http_in.max_body", int64(h.MaxBody), 0, 64<<20)
	p.checkRange("http_in.rate", int64(h.Rate), 0, 100_000)
	p.checkRange("http_in.burst", int64(h.Burst), 0, 100_000)
	p.checkRange("http_in.max_waiting", int64(h.MaxWaiting), 0, 10_000)
}

// fillSourceDefaults sets what depends on the kind of a source.
func (c *Config) fillSourceDefaults() {
	for i := range c.Sources {
		s := &c.Sources[i]
		switch s.Kind {
		case "files":
			s.Then = cmp.Or(s.Then, "keep")
			s.Settle = cmp.Or(s.Settle, defaultSettle)
		case "tail":
			s.From = cmp.Or(s.From, "start")
		}
	}
}
