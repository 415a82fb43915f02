package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestConfigErrorsHoldNoSecret makes mistakes in and around credentials.
func TestConfigErrorsHoldNoSecret(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"pem": canary + "pem\n", "json": `{"type":"service_account","private_key":"` + canary + `key","client_email":"a@b","token_uri":"x"}`,
		"bad.json": `{"private_key": ` + canary + `key}`, "credentials": "[default]\n" + canary + "line\naws_secret_access_key: " + canary + "colon\n",
		"lines": "\n" + canary + "second\n", "control": canary + "\x01control\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const head = "device: {id: gw7}\nbrokers: [{name: plant, url: 'tcp://127.0.0.1:1'}]\n"
	for _, mistake := range []string{
		head + "targets: [{name: a, kind: http, url: 'http://gw7:$S@h/x'}]",
		head + "targets: [{name: a, kind: http, url: 'http://h:$S/x'}]",
		head + "targets: [{name: a, kind: http, url: '$S'}]",
		head + "targets: [{name: a, kind: http, url: 'http://h/%zz$S'}]",
		head + "targets: [{name: a, kind: http, url: 'http://h', token: $S, username: u, password: $Sp}]",
		head + "targets: [{name: a, kind: http, url: 'http://h', token: \"$S\\x01\"}]",
		head + "targets: [{name: a, kind: http, url: 'http://h', token: [$S]}]",
		head + "sources: [{name: m, kind: process, command: [/bin/cat, [$S]], env: [[$S]]}]",
		head + "targets: [{name: a, kind: http, url: 'http://h', token: {$S: $Sb}}]",
		head + "targets: [{name: a, kind: http, url: 'http://h', headers: ['Authorization $S']}]",
		head + "targets: [{name: a, kind: http, url: 'http://h', headers: [\"X-Key: $S\\ny\"]}]",
		head + "targets: [{name: a, kind: http, url: 'http://h', headers: [{Authorization: $S}]}]",
		head + "targets: [{name: a, kind: http, url: 'http://h', headers: $S}]",
		head + "targets: [{name: a, kind: http, url: 'http://h', auth: oauth2, token_url: 'http://u:$S@h', client_id: $S, secret: $S}]",
		head + "targets: [{name: a, kind: http, url: 'http://h', ca_file: $DIR/pem}]",
		head + "targets: [{name: a, kind: http, url: 'http://h', cert_file: $DIR/pem, key_file: $DIR/pem}]",
		head + "targets: [{name: a, kind: http, url: 'http://h', token_file: $DIR/lines}]",
		head + "targets: [{name: a, kind: http, url: 'http://h', token_file: $DIR/control}]",
		head + "targets: [{name: a, kind: http, url: 'http://h', token_file: $DIR/pem, token: $S}]",
		head + "targets: [{name: a, kind: gcf, url: 'http://h', service_account_file: $DIR/json}]",
		head + "targets: [{name: a, kind: gcf, url: 'http://h', service_account_file: $DIR/bad.json}]",
		head + "targets: [{name: a, kind: lambda, region: r, function: f, credentials_file: $DIR/credentials}]",
		head + "targets: [{name: a, kind: lambda, region: r, function: f, credential_command: [$DIR/none, $S]}]",
		head + "targets: [{name: a, kind: lambda, region: r, function: f, access_key_id: \"A\\x01\", secret_access_key: $S}]",
		head + "targets: [{name: a, kind: mqtt, url: 'tcp://h', topic: t, password: $S}]",
		head + "targets: [{name: a, kind: webtask, url: 'http://h', password: $S}]",
		head + "registry: {ref: 'oci://gw7:$S@registry.example/fleet:latest'}",
		head + "registry: {ref: 'https://gw7:$S@registry.example/fleet:latest'}",
		"device: {id: gw7}\nbrokers: [{name: plant, url: 'tcp://gw7:$S@127.0.0.1:1'}]",
		"device: {id: gw7}\nbrokers: [{name: plant, url: '$S'}]",
		"device: {id: gw7}\nbrokers: [{name: plant, url: 'tcp://h', password: $S}]",
		"device: {id: gw7}\nbrokers: [{name: plant, url: 'tcp://h', username: u, password: [$S]}]",
		"device: {id: gw7}\nbrokers: [{name: plant, url: 'tcp://h', username: u, password: $S, password_file: $DIR/pem}]",
		"device: {id: gw7}\nbroker: {listen: ':1', users: [{name: a b, password: $S}]}",
		"device: {id: gw7}\nbroker: {listen: ':1', users: {name: a, password: $S}}",
		"device: {id: gw7}\nbroker: {listen: ':1', users: [$S]}",
		"device: {id: gw7}\nhttp_in: {listen: ':1', token: [$S]}",
		"device: {id: gw7}\nhttp_in: {listen: 'nowhere', token: $S}",
		"$S",
		"- $S",
		"pasword: $S: [",
		"password: '$S",
		"brokers:\n- {name: plant, password: $S, password: $S2}",
	} {
		mistake = strings.NewReplacer("$DIR", dir, "$S", canary+"value").Replace(mistake)
		_, err := LoadConfig(writeConfig(t, mistake))
		if err == nil {
			t.Errorf("no mistake: %s", mistake)
			continue
		}
		leaks(t, mistake, strings.ReplaceAll(err.Error(), dir+"/"+canary, "")) // a program's name is no secret
	}
}

// TestCommandsHoldNoSecret gives commands addresses that hold a password.
func TestCommandsHoldNoSecret(t *testing.T) {
	addr := closedPort(t)
	for _, args := range []string{
		"events --broker mqtt://gw7:$S@" + addr + " -n 1 --for 1s",
		"events --broker http://gw7:$S@" + addr + " -n 1",
		"events --broker mqtt://gw7:$S@host:port -n 1",
		"publish ../../examples/overheat/app.yaml --to oci://gw7:$S@" + addr + "/a:b",
		"publish ../../examples/overheat/app.yaml --to https://gw7:$S@" + addr + "/a:b",
		"invoke none.wasm --secret $S",
		"invoke none.wasm --secret pager=$S",
	} {
		out, err := exec.Command(os.Args[0], strings.Fields(strings.ReplaceAll(args, "$S", canary+"value"))...).CombinedOutput()
		if err == nil {
			t.Errorf("%s works", args)
		}
		leaks(t, args, string(out))
	}
}
