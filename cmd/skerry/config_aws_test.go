package main

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/skerry-edge/skerry/uplink"
)

// The options of AWS's kinds reach uplink: lists of words and of numbers, sizes,
// and a path that begins at the file's folder.
func TestLoadConfigOfAWS(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "skerry.yaml")
	for name, text := range map[string]string{
		file: `
registry: {ref: "oci://h/fleet", root_file: root.json}
targets:
  - {name: resize, kind: lambda, function: "Resize:prod", region: eu-north-1, mode: sync, max_payload: 2MiB, refused: dead, trace: true,
     credential_command: [/usr/bin/aws-signing-helper, credential-process, --profile, "plant 7"]}
  - {name: page, kind: lambda-url, url: "https://abc.lambda-url.eu-north-1.on.aws/", auth: iam, credentials_file: aws, profile: plant, fn_error_statuses: [422, 500]}
  - {name: steps, kind: stepfunctions, state_machine: "arn:aws:states:eu-north-1:123456789012:stateMachine:alarm", access_key_id: AK, secret_access_key: SK}
  - {name: traces, kind: xray, region: eu-north-1, access_key_id: AK, secret_access_key: SK}
`,
		filepath.Join(dir, "root.json"): fleetRoot(t),
		filepath.Join(dir, "aws"):       "[plant]\naws_access_key_id = AK\naws_secret_access_key = SK\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := LoadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []uplink.TargetConfig{
		{
			Name: "resize", Kind: "lambda", Function: "Resize:prod", Region: "eu-north-1", Mode: "sync", MaxPayload: 2 << 20, Refused: "dead", Trace: true,
			CredentialCommand: []string{"/usr/bin/aws-signing-helper", "credential-process", "--profile", "plant 7"},
		},
		{
			Name: "page", Kind: "lambda-url", URL: "https://abc.lambda-url.eu-north-1.on.aws/", Auth: "iam",
			CredentialsFile: filepath.Join(dir, "aws"), Profile: "plant", FnErrorStatuses: []int{422, 500},
		},
		{Name: "steps", Kind: "stepfunctions", StateMachine: "arn:aws:states:eu-north-1:123456789012:stateMachine:alarm", AccessKeyID: "AK", SecretAccessKey: "SK"},
		{Name: "traces", Kind: "xray", Region: "eu-north-1", AccessKeyID: "AK", SecretAccessKey: "SK"},
	} {
		if got := c.Targets[i].TargetConfig; !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}
