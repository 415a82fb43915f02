package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Config is what the owner of a device decides: who it is, what it is
// connected to, and its limits. What it runs comes from the registry.
//
// Names that people choose stand in lists, never as keys: keys ignore case.
type Config struct {
	Device   DeviceConfig   `key:"device"`
	Data     string         `key:"data"`   // directory of everything durable
	Linger   time.Duration  `key:"linger"` // a commit waits so long for company
	Clock    ClockConfig    `key:"clock"`
	Brokers  []BrokerConfig `key:"brokers"` // to connect to; the first is the default
	Broker   ListenConfig   `key:"broker"`  // the embedded broker
	HTTPIn   HTTPInConfig   `key:"http_in"`
	Sources  []SourceConfig `key:"sources"`
	Registry RegistryConfig `key:"registry"`
	Policy   PolicyConfig   `key:"policy"`
	Fleet    FleetConfig    `key:"fleet"`
	Links    []LinkConfig   `key:"links"`
	Uplink   UplinkConfig   `key:"uplink"`
	Targets  []TargetConfig `key:"targets"`
	Secrets  []SecretConfig `key:"secrets"`
	HTTP     HTTPConfig     `key:"http"`
	Limits   LimitsConfig   `key:"limits"`
	Admin    AdminConfig    `key:"admin"`
	Page     PageConfig     `key:"page"`
	Log      LogConfig      `key:"log"`

	Telemetry TelemetryConfig `key:"telemetry"`

	Warnings []string `key:"-"` // sentences for the log: what works, but should be otherwise
}

// ClockConfig is about the wall clock.
type ClockConfig struct {
	Wait time.Duration `key:"wait"` // after the start, for something that keeps it right; then schedules go by it as it is
}

// DeviceConfig is who this device is.
type DeviceConfig struct {
	ID     string   `key:"id"`     // 1 to 64 of [a-zA-Z0-9._-]
	Labels []string `key:"labels"` // "name=value"

	ClaimFile string `key:"claim_file"` // that a device without an identity enrols with
}

// BrokerConfig is one MQTT broker to connect to.
type BrokerConfig struct {
	Name         string        `key:"name"` // what triggers call it
	URL          string        `key:"url"`  // tcp, mqtt, ssl, tls, mqtts, ws or wss
	Username     string        `key:"username"`
	Password     string        `key:"password"` // from PasswordFile if that is set
	PasswordFile string        `key:"password_file"`
	CAFile       string        `key:"ca_file"`
	CertFile     string        `key:"cert_file"`
	KeyFile      string        `key:"key_file"`
	ClientID     string        `key:"client_id"` // "" for one made of the device id and Name
	Keepalive    time.Duration `key:"keepalive"`
	Inflight     int           `key:"inflight"`   // events not acknowledged yet, at most
	MaxPacket    Size          `key:"max_packet"` // largest packet taken in
	WillTopic    string        `key:"will_topic"` // "" for no last will
	WillPayload  string        `key:"will_payload"`
	WillQoS      int           `key:"will_qos"`
	WillRetain   bool          `key:"will_retain"`
}

// ListenConfig is the embedded broker; it is off unless Listen is set.
type ListenConfig struct {
	Listen     string        `key:"listen"` // host:port or URLs, comma separated
	Name       string        `key:"name"`   // what triggers call it
	CertFile   string        `key:"cert_file"`
	KeyFile    string        `key:"key_file"`
	Anonymous  bool          `key:"anonymous"` // whether clients without a name are let in
	Users      []UserConfig  `key:"users"`
	MaxClients int           `key:"max_clients"` // this and those below: 0 for the broker's own default
	MaxPacket  Size          `key:"max_packet"`
	Inflight   int           `key:"inflight"`    // unacknowledged messages of a client, each way
	Queue      int           `key:"queue"`       // messages that wait for one client
	QueueBytes Size          `key:"queue_bytes"` // of all of them
	Away       time.Duration `key:"away"`        // how long a session outlives its connection
}

// UserConfig is one client of the embedded broker.
type UserConfig struct {
	Name         string   `key:"name"`
	Password     string   `key:"password"` // from PasswordFile if that is set
	PasswordFile string   `key:"password_file"`
	Publish      []string `key:"publish"` // topic filters with %u and %c; nil allows all
	Subscribe    []string `key:"subscribe"`
}

// SecretConfig is a value that functions may be granted by its name.
// Exactly one of the others is set.
type SecretConfig struct {
	Name       string `key:"name"`
	File       string `key:"file"`
	Env        string `key:"env"`
	Credential string `key:"credential"` // of systemd: a file in $CREDENTIALS_DIRECTORY
}

// HTTPConfig is about the requests that functions make.
type HTTPConfig struct {
	CAFile string `key:"ca_file"` // PEM: trusted instead of the system's roots
	Link   string `key:"link"`    // one of Links that they go over; "" for that of all
}

// LimitsConfig bounds what the agent takes from the device.
type LimitsConfig struct {
	Disk   Size `key:"disk"`   // of the data directory
	Module Size `key:"module"` // of one function's module
}

// AdminConfig is how the command line reaches the running agent.
type AdminConfig struct {
	Socket string `key:"socket"` // unix socket
}

// LogConfig is how the agent writes its log.
type LogConfig struct {
	Level  string `key:"level"`  // debug, info, warn or error
	Format string `key:"format"` // text or json
}

const maxConfigFile = 1 << 20 // bytes

// LoadConfig reads the file at path, lets environment variables replace its
// values, fills in the defaults and checks everything. An empty path means
// environment and defaults alone. Relative paths in the file are relative to
// its folder. The error has one sentence a line, one for each mistake.
func LoadConfig(path string) (Config, error) {
	given, name, err := readSettings(path)
	if err != nil {
		return Config{}, err
	}
	if err := underIdentity(given, baseOf(path)); err != nil {
		return Config{}, err
	}
	c := Config{Page: pageDefault()}
	unread := decodeConfig(given, &c)
	c.fillDefaults()
	c.resolvePaths(baseOf(path))
	if problems := append(unread, c.check(unread)...); len(problems) > 0 {
		return Config{}, problems.in(name)
	}
	c.warnAboutEnv(os.Environ())
	if err := c.warnAboutFile(path); err != nil {
		return Config{}, err
	}
	if err := c.readCredentials(); err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// agentSocket is the admin socket of the running agent: the one that was named, or
// else that of the configuration at path.
func agentSocket(named, path string) (string, error) {
	if named != "" {
		return named, nil
	}
	c, err := configPlaces(path)
	if err != nil {
		return "", usageError{err}
	}
	return c.Admin.Socket, nil
}

// configPlaces finds the data directory and the admin socket of the agent that
// runs with the configuration at path. It looks at nothing else there, so that
// it serves those who have neither the agent's environment nor its files.
func configPlaces(path string) (Config, error) {
	given, name, err := readSettings(path)
	if err != nil {
		return Config{}, err
	}
	wanted := map[string]any{"data": given["data"], "admin": given["admin"]}
	if section, ok := given["admin"].(map[string]any); ok {
		wanted["admin"] = map[string]any{"socket": section["socket"]}
	}
	var c Config
	if problems := decodeConfig(wanted, &c); len(problems) > 0 {
		return Config{}, problems.in(name)
	}
	c.Data = cmp.Or(c.Data, defaultData)
	c.resolvePaths(baseOf(path))
	return c, nil
}

// baseOf is the folder that relative paths of the file at path start at.
func baseOf(path string) string { return filepath.Dir(path) } // "." for no file

// readSettings reads the file at path, and the environment, as nested maps.
// name is what mistakes in them are told of.
func readSettings(path string) (given map[string]any, name string, err error) {
	given, name = map[string]any{}, "environment"
	if path != "" {
		name = filepath.Base(path)
		if given, err = readConfigFile(path); err != nil && !enrolledWithout(path) {
			return nil, "", err
		}
	}
	if given == nil {
		given = map[string]any{}
	}
	putEnv(given)
	return given, name, nil
}

// backquoted is a part of a file that the YAML reader repeats.
var backquoted = regexp.MustCompile("`[^`]*`")

// readConfigFile reads the YAML at path, with all its keys in lower case.
func readConfigFile(path string) (map[string]any, error) {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("config file %s does not exist: write one (docs/configuration.md shows every key) or name another with -c", path)
	case err != nil:
		return nil, fmt.Errorf("read config file: %w", err)
	case len(text) > maxConfigFile:
		return nil, fmt.Errorf("config file %s has %d bytes, at most %d are read", path, len(text), maxConfigFile)
	}
	var read map[string]any
	if err := yaml.Unmarshal(text, &read); err != nil {
		what := spaced(strings.TrimPrefix(err.Error(), "yaml: "))
		what = backquoted.ReplaceAllString(what, "a value") // the file may be one of passwords
		return nil, fmt.Errorf("%s is not valid YAML: %s", filepath.Base(path), what)
	}
	return lowerKeys(read), nil
}
