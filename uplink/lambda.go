package uplink

import (
	"net/http"
	"regexp"
)

// lambdaRow: a function of AWS, invoked asynchronously (InvocationType Event),
// or waiting for its result (RequestResponse), which tells whether it failed.
var lambdaRow = kind{
	awsCommon + awsOptions + "endpoint function mode compat",
	newLambda,
}

// awsCommon are the options that kinds of AWS share with others.
const awsCommon = "payload max_payload refused timeout ca_file trace "

// Payloads that Lambda takes at most, bytes.
const (
	maxAsync = 1 << 20
	maxSync  = 6 << 20
)

func newLambda(c TargetConfig) (Target, error) {
	region, err := functionRegion(c.Function)
	if err != nil {
		return nil, err
	}
	wait, err := waits(&c)
	if err != nil {
		return nil, err
	}
	if _, err := oneOf("compat", c.Compat, "aws", "snafu"); err != nil {
		return nil, err
	}
	sign, err := newAWSAuth(&c, "lambda", region)
	if err != nil {
		return nil, err
	}
	p := &preset{auth: sign}
	if p.url, err = sign.endpoint(&c, "/2015-03-31/functions/"+rfc3986(c.Function)+"/invocations"); err != nil {
		return nil, err
	}
	invocation, limit := "Event", int64(maxAsync)
	if wait {
		invocation, limit = "RequestResponse", maxSync
	}
	body := newAWSBody(&c, limit)
	p.write = func(m *message) error {
		m.header.Set("Content-Type", "application/json")
		m.header.Set("X-Amz-Invocation-Type", invocation)
		return body.write(m)
	}
	own := (*answer).awsClass
	if c.Compat == "snafu" {
		own = (*answer).snafuClass
	}
	p.class, p.retry = sign.rules(&c, own)
	return newHTTPTarget(&c, p)
}

// snafuClass: Snafu says 501 to everything that goes wrong, also in the
// function, and 500 where a function raised.
func (a *answer) snafuClass() Class {
	class := a.awsClass()
	if class != Hold && (a.status == http.StatusNotImplemented || a.status == http.StatusInternalServerError) {
		return FnError
	}
	return class
}

// functionName is what Invoke takes, as AWS's service model has it.
var functionName = regexp.MustCompile(`^(arn:aws[a-zA-Z-]*:lambda:([a-z]{2}(?:-[a-z]+)+-\d):\d{12}:function:|(?:\d{12}:)?function:)?` +
	`[a-zA-Z0-9_-][a-zA-Z0-9_.-]*(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9_-]+))?$`)

// functionRegion checks a function's name, with a version or an alias or
// without, or its ARN, and is the ARN's region.
func functionRegion(function string) (string, error) {
	if function == "" {
		return "", mistake("function", "is missing; give its name or ARN")
	}
	m := functionName.FindStringSubmatch(function)
	if m == nil || len(function) > 170 {
		return "", mistake("function", "%.80q is not a Lambda function name or ARN", function)
	}
	return m[2], nil
}
