package uplink_test

import (
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/uplink"
)

func TestOpenRefuses(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	const url = "https://central.example/in"
	for _, tt := range []struct {
		cfg  uplink.TargetConfig
		want string
	}{
		{uplink.TargetConfig{Kind: "smtp"}, `kind "smtp" is not known; use one of cloudevents, http, lambda`},
		{uplink.TargetConfig{Kind: "http"}, "url is missing"},
		{uplink.TargetConfig{Kind: "http", URL: "ftp://x/"}, "must begin with http:// or https://"},
		{uplink.TargetConfig{Kind: "http", URL: "http://u:canary@x/"}, "give them as username and password"},
		{uplink.TargetConfig{Kind: "http", URL: "http://x/%zz?canary"}, "cannot be read as a URL"},
		{uplink.TargetConfig{Kind: "http", URL: url, Method: "GET"}, "use POST or PUT"},
		{uplink.TargetConfig{Kind: "http", URL: url, Region: "eu-central-1"}, "kind http has no option region"},
		{uplink.TargetConfig{Kind: "http", URL: url, Headers: []string{"nonsense"}}, "not of the form"},
		{uplink.TargetConfig{Kind: "http", URL: url, Headers: []string{"A: b\r\nC: d"}}, "not of the form"},
		{uplink.TargetConfig{Kind: "http", URL: url, Headers: []string{"Content-Type: x/y"}}, "set by the target itself"},
		{uplink.TargetConfig{Kind: "http", URL: url, Username: "u", Password: "p", Token: "canary"}, "exclude each other"},
		{uplink.TargetConfig{Kind: "http", URL: url, Password: "canary"}, "username must be given"},
		{uplink.TargetConfig{Kind: "http", URL: url, Token: "a\ncanary"}, "token holds characters"},
		{uplink.TargetConfig{Kind: "http", URL: url, CAFile: "/nowhere/ca.pem"}, "read ca_file"},
		{uplink.TargetConfig{Kind: "http", URL: url, CertFile: "c.pem"}, "belong together"},
		{uplink.TargetConfig{Kind: "http", URL: url, Timeout: -time.Second}, "is negative"},
		{uplink.TargetConfig{Kind: "cloudevents", URL: url, Method: "POST"}, "kind cloudevents has no option method"},
		{uplink.TargetConfig{Kind: "cloudevents", URL: url, Headers: []string{"ce-id: 1"}}, "set by the target itself"},
		{uplink.TargetConfig{Kind: "lambda", Region: "eu-central-1"}, "function is missing"},
		{uplink.TargetConfig{Kind: "lambda", Function: "a/b", Region: "eu-central-1"}, "not a Lambda function name"},
		{uplink.TargetConfig{Kind: "lambda", Function: "f"}, "region is missing"},
		{uplink.TargetConfig{Kind: "lambda", Function: "f", Region: "evil.example/"}, "not an AWS region"},
		{uplink.TargetConfig{Kind: "lambda", Function: "arn:aws:lambda:us-east-1:123456789012:function:f", Region: "eu-central-1"}, "make them agree"},
		{uplink.TargetConfig{Kind: "lambda", Function: "f", Region: "eu-central-1"}, "credentials are missing"},
		{uplink.TargetConfig{Kind: "lambda", Function: "f", Region: "eu-central-1", AccessKeyID: "canary"}, "credentials are missing"},
		{uplink.TargetConfig{Kind: "lambda", Function: "f", URL: url}, "kind lambda has no option url"},
	} {
		tt.cfg.Name = "central"
		_, err := uplink.Open(tt.cfg)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), `target "central": `) {
			t.Errorf("%+v: %v, want %q", tt.cfg, err, tt.want)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("the sentence shows a secret: %v", err)
		}
	}
}

func TestLambdaCredentialsFromEnvironment(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AK")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "SK")
	for _, fn := range []string{"f", "f:prod", "f:$LATEST", "123456789012:function:f", "arn:aws:lambda:eu-central-1:123456789012:function:f:7"} {
		if _, err := uplink.Open(uplink.TargetConfig{Kind: "lambda", Function: fn, Region: "eu-central-1"}); err != nil {
			t.Error(err)
		}
	}
}
