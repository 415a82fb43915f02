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
	"strconv"
	"strings"
	"testing"
)

// Moto is moto's server with one Lambda function, and a user that may invoke
// it. It checks signatures: a wrong secret is answered with 403.
type Moto struct {
	*Proc
	Endpoint        string // "http://127.0.0.1:port"
	Region          string
	Function        string
	AccessKeyID     string
	SecretAccessKey string
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

// prepare makes role, function, user and key, and then turns authentication on.
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
	if _, err := m.iam("CreateUser", "UserName", "gateway"); err != nil {
		return err
	}
	if _, err := m.iam("PutUserPolicy", "UserName", "gateway", "PolicyName", "invoke", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:*","Resource":"*"}]}`); err != nil {
		return err
	}
	key, err := m.iam("CreateAccessKey", "UserName", "gateway")
	if err != nil {
		return err
	}
	m.AccessKeyID, m.SecretAccessKey = key.KeyID, key.Secret
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
func (m *Moto) post(path, service, contentType, body string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, m.Endpoint+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
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
