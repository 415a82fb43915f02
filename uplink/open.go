package uplink

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// TargetConfig is one target as a device's configuration binds it. Which
// fields a kind uses stands in the table of kinds; any other must be empty.
type TargetConfig struct {
	Name            string
	Kind            string // cloudevents, http or lambda
	URL             string
	Method          string
	Headers         []string // "Name: value"
	Username        string
	Password        string
	Token           string
	CAFile          string
	CertFile        string
	KeyFile         string
	Region          string
	Function        string
	Endpoint        string
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	Timeout         time.Duration
}

// kind is one row of the table: the options it uses and how it is made.
type kind struct {
	uses string // option names, separated by spaces
	open func(TargetConfig) (Target, error)
}

var kinds = map[string]kind{
	"cloudevents": {
		"url headers username password token ca_file cert_file key_file timeout",
		func(c TargetConfig) (Target, error) { return NewCloudEvents(c.http()) },
	},
	"http": {
		"url method headers username password token ca_file cert_file key_file timeout",
		func(c TargetConfig) (Target, error) { return NewHTTP(c.http()) },
	},
	"lambda": {
		"function region endpoint access_key_id secret_access_key session_token ca_file timeout",
		func(c TargetConfig) (Target, error) { return NewLambda(c.lambda()) },
	},
}

// Kinds are the names that Open knows, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// Open makes the target that cfg describes. It does not connect. An unknown
// kind, a missing or senseless value, or an option that the kind does not use
// is one sentence.
func Open(cfg TargetConfig) (Target, error) {
	k, ok := kinds[cfg.Kind]
	if !ok {
		return nil, fmt.Errorf("target %q: kind %q is not known; use one of %s",
			cfg.Name, cfg.Kind, strings.Join(Kinds(), ", "))
	}
	used := strings.Fields(k.uses)
	for _, opt := range cfg.given() {
		if !slices.Contains(used, opt) {
			return nil, fmt.Errorf("target %q: kind %s has no option %s; remove it", cfg.Name, cfg.Kind, opt)
		}
	}
	t, err := k.open(cfg)
	if err != nil {
		return nil, fmt.Errorf("target %q: %w", cfg.Name, err)
	}
	return t, nil
}

// given lists the options that are set.
func (c *TargetConfig) given() []string {
	var names []string
	for _, o := range []struct {
		name string
		set  bool
	}{
		{"url", c.URL != ""},
		{"method", c.Method != ""},
		{"headers", len(c.Headers) > 0},
		{"username", c.Username != ""},
		{"password", c.Password != ""},
		{"token", c.Token != ""},
		{"ca_file", c.CAFile != ""},
		{"cert_file", c.CertFile != ""},
		{"key_file", c.KeyFile != ""},
		{"region", c.Region != ""},
		{"function", c.Function != ""},
		{"endpoint", c.Endpoint != ""},
		{"access_key_id", c.AccessKeyID != ""},
		{"secret_access_key", c.SecretAccessKey != ""},
		{"session_token", c.SessionToken != ""},
		{"timeout", c.Timeout != 0},
	} {
		if o.set {
			names = append(names, o.name)
		}
	}
	return names
}

func (c *TargetConfig) http() HTTPOptions {
	return HTTPOptions{
		URL: c.URL, Method: c.Method, Headers: c.Headers,
		Username: c.Username, Password: c.Password, Token: c.Token,
		CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile, Timeout: c.Timeout,
	}
}

func (c *TargetConfig) lambda() LambdaOptions {
	return LambdaOptions{
		Function: c.Function, Region: c.Region, Endpoint: c.Endpoint,
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
		CAFile: c.CAFile, Timeout: c.Timeout,
	}
}
