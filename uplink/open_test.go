package uplink_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/uplink"
)

type config = uplink.TargetConfig

// junk is a file that holds no credential of any kind.
const junk = "testdata/junk.json"

// mistakes are configurations that Open refuses, for an option of a kind that
// is right otherwise; want is a part of the sentence.
var mistakes = []struct {
	kind, option string
	set          func(*config)
	want         string
}{
	{"smtp", "kind", nil, `"smtp" is not known; use one of azure, cloudevents, `},
	{"http", "url", func(c *config) { c.URL = "" }, "is missing; give one such as https://"},
	{"http", "url", func(c *config) { c.URL = "ftp://x/" }, "must begin with http:// or https://"},
	{"http", "url", func(c *config) { c.URL = "http://u:canary@x/" }, "give them as username and password"},
	{"http", "url", func(c *config) { c.URL = "http://x/%zz?canary" }, "cannot be read as a URL"},
	{"http", "method", func(c *config) { c.Method = "GET" }, "use POST, PUT or PATCH"},
	{"http", "region", func(c *config) { c.Region = "eu-central-1" }, "is no option of kind http; remove it"},
	{"http", "token_url", func(c *config) { c.TokenURL = "http://x" }, "is not for auth none; remove it, or choose another auth"},
	{"http", "headers", func(c *config) { c.Headers = []string{"nonsense"} }, "not of the form"},
	{"http", "headers", func(c *config) { c.Headers = []string{"A: b\r\nC: d"} }, "not of the form"},
	{"http", "headers", func(c *config) { c.Headers = []string{"Content-Type: x/y"} }, "which the target sets itself"},
	{"http", "headers", func(c *config) { c.Headers, c.Token = []string{"authorization: canary"}, "canary" }, "uthorization, which the target sets itself"},
	{"http", "token", func(c *config) { c.Username, c.Password, c.Token = "u", "p", "canary" }, "is not for auth basic"},
	{"http", "username", func(c *config) { c.Password = "canary" }, "is missing; auth basic needs it"},
	{"http", "username", func(c *config) { c.Username, c.Password = "a:b", "canary" }, "must hold no colon"},
	{"http", "token", func(c *config) { c.Token = "a\ncanary" }, "characters that a header cannot carry"},
	{"http", "token", func(c *config) { c.Token, c.TokenFile = "canary", junk }, "is set and token_file too: keep one"},
	{"http", "token_file", func(c *config) { c.TokenFile = "/nowhere/x" }, "no such file"},
	{"http", "password_file", func(c *config) { c.Username, c.PasswordFile = "u", "/" }, "is no regular file"},
	{"http", "auth", func(c *config) { c.Auth = "digest" }, "is none, basic, bearer, header, oauth2 or hmac"},
	{"http", "auth_header", func(c *config) { c.Auth, c.Token = "header", "canary" }, "is missing; auth header needs it"},
	{"http", "auth_header", func(c *config) { c.Auth, c.Token, c.AuthHeader = "header", "canary", "a b" }, "is no name of a header"},
	{"http", "secret", func(c *config) { c.Auth = "hmac" }, "is missing"},
	{"http", "client_id", func(c *config) { c.Auth, c.TokenURL, c.Secret = "oauth2", "http://x", "canary" }, "is missing"},
	{"http", "token_url", func(c *config) { c.Auth, c.TokenURL, c.Secret, c.ClientID = "oauth2", "x", "canary", "i" }, "must begin with"},
	{"http", "ca_file", func(c *config) { c.CAFile = "/nowhere/ca.pem" }, "cannot be read"},
	{"http", "ca_file", func(c *config) { c.CAFile = junk }, "holds no PEM certificate"},
	{"http", "cert_file", func(c *config) { c.CertFile = "c.pem" }, "belong together"},
	{"http", "cert_file", func(c *config) { c.CertFile, c.KeyFile = junk, junk }, "cannot be used"},
	{"http", "timeout", func(c *config) { c.Timeout = -time.Second }, "is negative"},
	{"http", "path", func(c *config) { c.Path = "x" }, "begins with a slash"},
	{"http", "path", func(c *config) { c.Path = "/x?y" }, "a query belongs into url"},
	{"http", "path", func(c *config) { c.Path = "/{topic}" }, "which is none of {subject}, {id}, "},
	{"http", "path", func(c *config) { c.Path = "/{id" }, "which is none of"},
	{"http", "path", func(c *config) { c.Path = "/${1 +}" }, "cannot be used"},
	{"http", "path", func(c *config) { c.Path = "/100%/x" }, "write a percent sign as %25"},
	{"http", "path", func(c *config) { c.Path = "/{id}%zz" }, "write a percent sign as %25"},
	{"http", "url", func(c *config) { c.URL = "http://x:99999/canary" }, "has a port that is none"},
	{"http", "headers", func(c *config) {
		c.Headers, c.Auth, c.AuthHeader, c.Token = []string{"X-Key: canary"}, "header", "x-key", "canary"
	}, "which the target sets itself"},
	{"http", "headers", func(c *config) {
		c.Headers, c.Auth, c.Secret = []string{"X-Skerry-Signature: canary"}, "hmac", "canary"
	}, "which the target sets itself"},
	{"http", "headers", func(c *config) { c.Headers, c.Compress = []string{"Content-Encoding: br"}, "gzip" }, "which the target sets itself"},
	{"http", "headers", func(c *config) { c.Headers, c.Trace = []string{"X-Amzn-Trace-Id: Root=1"}, true }, "which the target sets itself"},
	{"azure", "headers", func(c *config) { c.Headers = []string{"X-Functions-Key: canary"} }, "which the target sets itself"},
	{"openwhisk", "headers", func(c *config) { c.Headers = []string{"Authorization: canary"} }, "which the target sets itself"},
	{"lambda-url", "headers", func(c *config) { c.Headers = []string{"Authorization: canary"} }, "which the target sets itself"},
	{"fn", "path", func(c *config) { c.Path = "/x" }, "give one of them"},
	{"lambda", "credential_command", func(c *config) {
		c.AccessKeyID, c.SecretAccessKey, c.CredentialCommand = "", "", []string{"/bin/helper --token canary"}
	}, "is a list"},
	{"http", "payload", func(c *config) { c.Payload = `{"a":"${nothing}"}` }, "cannot be used"},
	{"http", "max_payload", func(c *config) { c.MaxPayload = -1 }, "is a size"},
	{"http", "batch", func(c *config) { c.Batch = 5000 }, "is from 1 to 1024"},
	{"http", "batch", func(c *config) { c.Batch, c.Path = 5, "/{id}" }, "needs one path"},
	{"http", "batch", func(c *config) { c.Batch, c.Trace = 5, true }, "has no one trace"},
	{"http", "format", func(c *config) { c.Format = "ndjson" }, "set batch"},
	{"http", "format", func(c *config) { c.Format, c.Batch = "xml", 2 }, `is array or ndjson, not "xml"`},
	{"azure", "fn_error_statuses", func(c *config) { c.FnErrorStatuses = []int{200} }, "give statuses from 400 to 599"},
	{"http", "compress", func(c *config) { c.Compress = "zip" }, "is gzip"},
	{"http", "refused", func(c *config) { c.Refused = "drop" }, `is hold or dead, not "drop"`},
	{"cloudevents", "method", func(c *config) { c.Method = "POST" }, "is no option of kind cloudevents"},
	{"cloudevents", "headers", func(c *config) { c.Headers = []string{"ce-id: 1"} }, "which the target sets itself"},
	{"cloudevents", "format", func(c *config) { c.Format, c.Batch = "binary", 2 }, "has no batches"},
	{"azure", "path", func(c *config) { c.Path, c.Function = "/x", "f" }, "give one of them"},
	{"fission", "namespace", func(c *config) { c.Function, c.Namespace = "", "n" }, "belongs to function"},
	{"fission", "mode", func(c *config) { c.Mode = "later" }, `is async or sync, not "later"`},
	{"fn", "mode", func(c *config) { c.Function, c.Mode = "", "sync" }, "is for functions that are called by their id"},
	{"gcf", "audience", func(c *config) { c.Audience = "x" }, "set service_account_file"},
	{"gcf", "service_account_file", func(c *config) { c.ServiceAccount = "/nowhere" }, "no such file"},
	{"gcf", "service_account_file", func(c *config) { c.ServiceAccount = junk }, "private_key is not PEM"},
	{"hookio", "function", func(c *config) { c.Function = "alarm" }, "is owner/hook"},
	{"ifttt", "token", func(c *config) { c.Token = "" }, "is missing"},
	{"ifttt", "event", func(c *config) { c.Event = "" }, "is missing"},
	{"nuclio", "function", func(c *config) { c.Function, c.Namespace = "", "n" }, "is missing"},
	{"nuclio", "invoke_url", func(c *config) { c.InvokeURL = "x" }, "must begin with"},
	{"openfaas", "function", func(c *config) { c.Function = "" }, "is missing; give the function's name"},
	{"openfaas", "function", func(c *config) { c.Function = "../system" }, "is no name"},
	{"openfaas", "callback", func(c *config) { c.Callback = "x" }, "must begin with"},
	{"openfaas", "callback", func(c *config) { c.Callback, c.Mode = "http://x", "sync" }, "remove it, or mode"},
	{"openwhisk", "trigger", func(c *config) { c.Action = "a" }, "give one of them"},
	{"openwhisk", "token", func(c *config) { c.Token = "" }, "is missing"},
	{"openwhisk", "mode", func(c *config) { c.Mode = "sync" }, "is for actions"},
}

// Each mistake is one sentence that says what would be right, about one option,
// and without what may be a secret.
func TestOpenRefuses(t *testing.T) {
	for _, tt := range mistakes {
		c := kindConfig(tt.kind, "https://central.example")
		if tt.set != nil {
			tt.set(&c)
		}
		_, err := uplink.Open(c)
		var mistake *uplink.OptionError
		if !errors.As(err, &mistake) || mistake.Option != tt.option || !strings.Contains(mistake.Text, tt.want) {
			t.Errorf("%s: %v, want %s … %q", tt.kind, err, tt.option, tt.want)
		} else if strings.Contains(strings.ReplaceAll(err.Error(), junk, ""), "canary") || strings.Contains(err.Error(), "\n") {
			t.Errorf("the sentence shows a secret, or is not one: %v", err)
		}
	}
}

// All that can be told is told at once.
func TestOpenTellsAllMistakes(t *testing.T) {
	c := kindConfig("http", "https://central.example")
	c.Headers, c.Timeout, c.Compress = []string{"x"}, -1, "zip"
	_, err := uplink.Open(c)
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %v", err)
	}
}
