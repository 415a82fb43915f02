package uplink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// TargetConfig is one target as a device's configuration binds it: one field
// for each option, called what its key says. Which options a kind has stands
// in its row of the table of kinds; any other must be empty. An option that is
// a credential stands here itself, or is the first line of the file in the
// option of its name with _file behind it.
type TargetConfig struct {
	Name string `key:"name"` // what apps call it
	Kind string `key:"kind"`

	// Where it goes, and how it is written.
	URL        string        `key:"url"`
	Method     string        `key:"method"`
	Path       string        `key:"path"`        // template, behind the path of URL
	Headers    []string      `key:"headers"`     // "Name: value"
	Format     string        `key:"format"`      // which of a kind's ways to write an event
	Mode       string        `key:"mode"`        // sync waits for the function, async does not
	Payload    string        `key:"payload"`     // template that makes the data
	MaxPayload int64         `key:"max_payload"` // bytes; 0 for the kind's own
	Batch      int           `key:"batch"`       // records in one request, at most; 0 sends them one by one
	Compress   string        `key:"compress"`    // gzip
	Trace      bool          `key:"trace"`       // sends X-Amzn-Trace-Id
	Refused    string        `key:"refused"`     // what becomes of records when 401 or 403 comes: hold or dead
	Timeout    time.Duration `key:"timeout"`     // of one request; 0 means 30 s

	// What is called there.
	Function  string `key:"function"`
	Namespace string `key:"namespace"`
	Trigger   string `key:"trigger"`
	Action    string `key:"action"`
	Event     string `key:"event"`
	InvokeURL string `key:"invoke_url"`
	Callback  string `key:"callback"` // URL that gets the result

	// Of a broker.
	Topic     string        `key:"topic"`     // template: {device}, {function}, {subject} …
	Retain    bool          `key:"retain"`    // the broker keeps the newest of each topic
	Keepalive time.Duration `key:"keepalive"` // between pings

	// Who says so.
	Auth           string `key:"auth"`        // of the kinds that leave the choice
	AuthHeader     string `key:"auth_header"` // that carries the token or the signature
	Username       string `key:"username"`
	Password       string `key:"password"`
	PasswordFile   string `key:"password_file"`
	Token          string `key:"token"`
	TokenFile      string `key:"token_file"`
	Secret         string `key:"secret"`
	SecretFile     string `key:"secret_file"`
	TokenURL       string `key:"token_url"`
	ClientID       string `key:"client_id"`
	Scope          string `key:"scope"`
	Audience       string `key:"audience"`
	ServiceAccount string `key:"service_account_file"` // JSON
	CAFile         string `key:"ca_file"`              // PEM: trusted instead of the system's roots
	CertFile       string `key:"cert_file"`            // PEM: client certificate
	KeyFile        string `key:"key_file"`             // PEM

	// Of AWS.
	Region              string `key:"region"`
	Endpoint            string `key:"endpoint"`
	AccessKeyID         string `key:"access_key_id"`
	SecretAccessKey     string `key:"secret_access_key"`
	SecretAccessKeyFile string `key:"secret_access_key_file"`
	SessionToken        string `key:"session_token"`
	SessionTokenFile    string `key:"session_token_file"`

	CredentialCommand []string `key:"credential_command"` // program and arguments, in the format of credential_process
	CredentialsFile   string   `key:"credentials_file"`   // in the format of ~/.aws/credentials
	Profile           string   `key:"profile"`            // of that file, or of AWS's own
	StateMachine      string   `key:"state_machine"`      // ARN
	Compat            string   `key:"compat"`             // what stands in for AWS: snafu
	FnErrorStatuses   []int    `key:"fn_error_statuses"`  // with which the function itself says that it failed

	// What the device gives, rather than its configuration.
	Device  string                                                            `key:"-"` // its id
	Compile func(text string) (agent.Template, error)                         `key:"-"` // of Path and Payload; text is JSON
	Dial    func(ctx context.Context, network, addr string) (net.Conn, error) `key:"-"` // of the link; nil dials without one
	MQTT    func(TargetConfig) (MQTTClient, error)                            `key:"-"` // the client of a target of kind mqtt; does not connect
	Follow  func(ev *agent.Event) string                                      `key:"-"` // the traceparent that goes along; nil: the one that came with it
	Now     func() time.Time                                                  `key:"-"` // nil means time.Now
}

// follow is never nil.
func (c *TargetConfig) follow() func(ev *agent.Event) string {
	if c.Follow != nil {
		return c.Follow
	}
	return func(ev *agent.Event) string { return ev.Trace }
}

// OptionError is a mistake in one option.
type OptionError struct {
	Option string // its key, such as url
	Text   string // what is wrong and what would be right, without secrets: "is missing; give …"
}

func (e *OptionError) Error() string { return e.Option + " " + e.Text }

// mistake is an *OptionError.
func mistake(option, format string, args ...any) error {
	return &OptionError{Option: option, Text: fmt.Sprintf(format, args...)}
}

// withFile are the options that may stand in a file.
var withFile = []string{"password", "token", "secret", "secret_access_key", "session_token"}

// given lists the options that are set, those in files by their own name.
func (c *TargetConfig) given() []string {
	var names []string
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("key")
		if name == "-" || name == "name" || name == "kind" || v.Field(i).IsZero() {
			continue
		}
		if base, ok := strings.CutSuffix(name, "_file"); ok && slices.Contains(withFile, base) {
			name = base
		}
		names = append(names, name)
	}
	return names
}

// check refuses options that the kind does not have.
func (k *kind) check(c *TargetConfig) error {
	var errs []error
	for _, opt := range c.given() {
		if !slices.Contains(strings.Fields(k.uses), opt) {
			errs = append(errs, mistake(opt, "is no option of kind %s; remove it", c.Kind))
		}
	}
	return errors.Join(errs...)
}
