package uplink

import (
	"net/http"
	"regexp"
)

// stepFunctionsRow: an execution of a state machine for each record. Its
// name is made of the record's id, so that AWS itself starts it once however
// often it is asked to (for 90 days; express state machines have no names that
// count).
var stepFunctionsRow = kind{
	awsCommon + awsOptions + "endpoint state_machine",
	newStepFunctions,
}

// maxInput is the longest input of an execution, bytes.
const maxInput = 262144

// stateMachine is an ARN, with a version or an alias or without.
var stateMachine = regexp.MustCompile(`^arn:aws[a-zA-Z-]*:states:([a-z]{2}(?:-[a-z]+)+-\d+):\d{12}:stateMachine:[a-zA-Z0-9_-]{1,80}(:[a-zA-Z0-9_.-]{1,80})?$`)

func newStepFunctions(c TargetConfig) (Target, error) {
	if err := need("state_machine", c.StateMachine, "the ARN of one"); err != nil {
		return nil, err
	}
	arn := stateMachine.FindStringSubmatch(c.StateMachine)
	if arn == nil {
		return nil, mistake("state_machine", "%.120q is not the ARN of a state machine, such as arn:aws:states:eu-central-1:123456789012:stateMachine:alarm", c.StateMachine)
	}
	sign, err := newAWSAuth(&c, "states", arn[1])
	if err != nil {
		return nil, err
	}
	p := &preset{auth: sign}
	if p.url, err = sign.endpoint(&c, "/"); err != nil {
		return nil, err
	}
	body := newAWSBody(&c, maxInput)
	p.write = func(m *message) error { return writeExecution(m, body, c.StateMachine) }
	p.class, p.retry = sign.rules(&c, (*answer).executionClass)
	return newHTTPTarget(&c, p)
}

func writeExecution(m *message, body *awsBody, arn string) error {
	if err := body.write(m); err != nil {
		return err
	}
	err := m.writeJSON(struct {
		StateMachine string `json:"stateMachineArn"`
		Name         string `json:"name"`
		Input        string `json:"input"`
		Trace        string `json:"traceHeader"`
	}{arn, executionName(m.event.ID), string(m.body), m.header.Get(traceHeader)})
	m.header.Set("Content-Type", "application/x-amz-json-1.0")
	m.header.Set("X-Amz-Target", "AWSStepFunctions.StartExecution")
	return err
}

// executionClass: an execution of that name was started by an earlier try,
// whose answer was lost. A state machine that is missing is a mistake to mend,
// as is a function that is.
func (a *answer) executionClass() Class {
	if a.status == http.StatusBadRequest {
		switch a.awsCode() {
		case "ExecutionAlreadyExists":
			return Delivered
		case "StateMachineDoesNotExist", "StateMachineDeleting", "InvalidArn":
			return Hold
		}
	}
	return a.awsClass()
}

var validExecution = regexp.MustCompile(`^[0-9A-Za-z_-]{1,80}$`)

// executionName is the id where it can be a name (1 to 80 of [0-9A-Za-z_-]),
// else what of it can be one with a hash of all.
func executionName(id string) string {
	if validExecution.MatchString(id) {
		return id
	}
	name := make([]byte, 0, 80)
	for _, c := range []byte(id[:min(len(id), 47)]) {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' {
			name = append(name, c)
			continue
		}
		name = append(name, '-')
	}
	return string(append(append(name, '-'), digest(id)[:32]...))
}
