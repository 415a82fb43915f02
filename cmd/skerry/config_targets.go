package main

import (
	"errors"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/when"
	"github.com/skerry-edge/skerry/uplink"
)

// TargetConfig binds the name of a target to an endpoint and credentials. The
// options of its kind are uplink's.
type TargetConfig struct {
	uplink.TargetConfig
	InFlight int    `key:"in_flight"` // requests at a time; 0 for the target's own default
	Link     string `key:"link"`      // one of Links that it goes over; "" for that of all
}

// files lists the paths in t.
func (t *TargetConfig) files() []*string {
	return []*string{
		&t.PasswordFile, &t.TokenFile, &t.SecretFile, &t.SecretAccessKeyFile, &t.SessionTokenFile,
		&t.CredentialsFile, &t.ServiceAccount, &t.CAFile, &t.CertFile, &t.KeyFile,
	}
}

// credentials lists the secret values in t.
func (t *TargetConfig) credentials(path string) []credential {
	return []credential{
		{path, "password", &t.Password, t.PasswordFile},
		{path, "token", &t.Token, t.TokenFile},
		{path, "secret", &t.Secret, t.SecretFile},
		{path, "secret_access_key", &t.SecretAccessKey, t.SecretAccessKeyFile},
		{path, "session_token", &t.SessionToken, t.SessionTokenFile},
	}
}

func (t *TargetConfig) check(path string, p *problems) {
	p.checkRange(join(path, "in_flight"), int64(t.InFlight), 0, 1024)
	_, err := uplink.Open(t.uplink(""))
	for _, err := range flatten(err) {
		var option *uplink.OptionError
		if errors.As(err, &option) {
			p.add(join(path, option.Option), "%s", option.Text)
			continue
		}
		p.add(path, "%v", err)
	}
}

// flatten is the errors that errors.Join made one of.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range many.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

// uplink is the target in uplink's words, on the device of that id.
func (t *TargetConfig) uplink(device string) uplink.TargetConfig {
	c := t.TargetConfig
	c.Device, c.Compile = device, func(text string) (agent.Template, error) { return when.Language{}.Template(text, nil) }
	c.MQTT = newTargetClient(nil, nil)
	return c
}
