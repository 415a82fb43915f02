package testbed

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Moto is moto's server with one Lambda function, one state machine, a user that
// may use them and X-Ray, and a stranger that may do nothing. It checks
// signatures: a wrong secret is answered with 403. It does not look at clocks.
type Moto struct {
	*Proc
	Endpoint        string // "http://127.0.0.1:port"
	Region          string
	Function        string
	StateMachine    string // ARN
	AccessKeyID     string
	SecretAccessKey string
	Stranger        [2]string // access key id and secret
}

const motoInstall = "pip install 'moto[server]' awscli"

// StartMoto starts a Lambda that verifies AWS signatures, until the test ends.
// Its function answers nothing of interest: Event invocations get a 202.
func StartMoto(t testing.TB) *Moto {
	t.Helper()
	port := FreePort(t)
	m := &Moto{Endpoint: "http://" + Addr(port), Region: "us-east-1", Function: "plant"}
	m.Proc = Start(t, motoInstall, m.answers, "moto_server", "-H", "127.0.0.1", "-p", strconv.Itoa(port))
	if err := m.prepare(); err != nil {
		t.Fatalf("prepare moto: %v\n%s", err, m.Output())
	}
	return m
}

func (m *Moto) answers() error {
	resp, err := http.Get(m.Endpoint + "/moto-api/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("moto answers %s", resp.Status)
	}
	return nil
}

// prepare makes role, function, state machine, users and keys, and then turns
// authentication on.
func (m *Moto) prepare() error {
	if _, err := m.post("/moto-api/config", "", "application/json", `{"lambda":{"use_docker":false}}`); err != nil {
		return err
	}
	role, err := m.iam("CreateRole", "RoleName", "lambda", "AssumeRolePolicyDocument", `{"Version":"2012-10-17","Statement":[`+
		`{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)
	if err != nil {
		return err
	}
	if err := m.createFunction(role.Role); err != nil {
		return err
	}
	if err := m.createStateMachine(role.Role); err != nil {
		return err
	}
	if m.Stranger, err = m.createUser("stranger"); err != nil {
		return err
	}
	key, err := m.createUser("gateway")
	if err != nil {
		return err
	}
	m.AccessKeyID, m.SecretAccessKey = key[0], key[1]
	if _, err := m.iam("PutUserPolicy", "UserName", "gateway", "PolicyName", "invoke", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["lambda:*","states:*","xray:*"],"Resource":"*"}]}`); err != nil {
		return err
	}
	_, err = m.post("/moto-api/reset-auth", "", "text/plain", "0")
	return err
}

func (m *Moto) createFunction(role string) error {
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	w, err := z.Create("main.py")
	if err == nil {
		_, err = io.WriteString(w, "def handler(event, context):\n    return event\n")
	}
	if err = errors.Join(err, z.Close()); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"FunctionName": m.Function, "Runtime": "python3.12", "Role": role, "Handler": "main.handler",
		"Code": map[string]string{"ZipFile": base64.StdEncoding.EncodeToString(archive.Bytes())},
	})
	if err != nil {
		return err
	}
	_, err = m.post("/2015-03-31/functions", "lambda", "application/json", string(body))
	return err
}

func (m *Moto) createStateMachine(role string) error {
	body, err := json.Marshal(map[string]string{
		"name": "plant", "roleArn": role, "definition": `{"StartAt":"Done","States":{"Done":{"Type":"Pass","End":true}}}`,
	})
	if err != nil {
		return err
	}
	answer, err := m.post("/", "states", "application/x-amz-json-1.0", string(body), "X-Amz-Target", "AWSStepFunctions.CreateStateMachine")
	if err != nil {
		return err
	}
	var made struct {
		ARN string `json:"stateMachineArn"`
	}
	err = json.Unmarshal(answer, &made)
	m.StateMachine = made.ARN
	return err
}

// createUser makes a user and an access key for it: id and secret.
func (m *Moto) createUser(name string) (key [2]string, err error) {
	if _, err := m.iam("CreateUser", "UserName", name); err != nil {
		return key, err
	}
	made, err := m.iam("CreateAccessKey", "UserName", name)
	return [2]string{made.KeyID, made.Secret}, err
}

// iamAnswer is what is read of IAM's answers.
type iamAnswer struct {
	Role   string `xml:"CreateRoleResult>Role>Arn"`
	KeyID  string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
	Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
}

func (m *Moto) iam(action string, pairs ...string) (a iamAnswer, err error) {
	form := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	body, err := m.post("/", "iam", "application/x-www-form-urlencoded", form.Encode())
	if err != nil {
		return a, fmt.Errorf("%s: %w", action, err)
	}
	if err := xml.Unmarshal(body, &a); err != nil {
		return a, fmt.Errorf("%s: read answer: %w", action, err)
	}
	return a, nil
}

// post sends one request. Moto finds the service in the credential's scope;
// before authentication is on, the signature does not matter.
func (m *Moto) post(path, service, contentType, body string, header ...string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, m.Endpoint+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	for pair := range slices.Chunk(header, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	if service != "" {
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/"+m.Region+"/"+
			service+"/aws4_request, SignedHeaders=host, Signature=0")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s answers %s: %s", path, resp.Status, answer)
	}
	return answer, err
}
