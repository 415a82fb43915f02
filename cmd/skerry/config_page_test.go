package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadConfigRefusesPages(t *testing.T) {
	t.Setenv(pageEnv, "")
	for text, want := range map[string]string{
		"page: {listen: '0.0.0.0:9180'}":                                            "page.cert_file: and key_file are missing: other machines reach 0.0.0.0:9180",
		"page: {listen: ':9180'}":                                                   "page.token_file: is missing: other machines reach :9180",
		"page: {listen: '192.0.2.1:9180', token_file: long}":                        "page.cert_file: and key_file are missing",
		"page: {listen: gateway}":                                                   `page.listen: is host:port, such as 127.0.0.1:9180, or off, not "gateway"`,
		"page: {listen: '127.0.0.1:http'}":                                          "page.listen: is host:port",
		"page: {listen: '127.0.0.1:70000'}":                                         "page.listen: is host:port",
		"page: {cert_file: pw}":                                                     "page.cert_file: and key_file go together",
		"page: {token_file: none}":                                                  "page.token_file: cannot be read",
		"page: {token_file: empty}":                                                 "has nothing on its first line",
		"page: {token_file: pw}":                                                    "has 6 characters, at least 16 are needed",
		"page: {hosts: ['gw7.example:9180']}":                                       "page.hosts[0]: is a name or an address that browsers call this device by",
		"page: {hosts: ['https://gw7.example']}":                                    "page.hosts[0]: is a name",
		"page: {write: maybe}":                                                      "page.write: is true or false",
		"page: {liste: off}":                                                        `page.liste: there is no such key; did you mean "listen"?`,
		"page: {listen: off, token_file: none}":                                     "page.token_file: cannot be read",
		"page: {listen: 'localhost.evil.example:9180', token_file: long}":           "page.cert_file: and key_file are missing",
		"page: {listen: '0.0.0.0:9180', token_file: pw, cert_file: c, key_file: k}": "page.cert_file: cannot be read",
	} {
		path := writePage(t, text)
		if _, err := LoadConfig(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the token is told: %v", text, err)
		}
	}
}

func writePage(t *testing.T, text string) string {
	t.Helper()
	path := writeConfig(t, text+"\nbroker: {listen: '127.0.0.1:0', anonymous: true}\n")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "long"), []byte("a-secret-of-some-length\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWherePagesAre(t *testing.T) {
	t.Setenv(pageEnv, "")
	for text, want := range map[string]string{
		"":                               "127.0.0.1:9180",
		"page: {listen: off}":            "",
		"page: {listen: 'localhost:80'}": "localhost:80",
		"page: {listen: '[::1]:80'}":     "[::1]:80",
		"page: {write: false, hosts: [gw7, 192.0.2.7, 'fe80::7']}": "127.0.0.1:9180",
	} {
		c, err := LoadConfig(writePage(t, text))
		if err != nil || c.Page.address() != want || c.Page.Write == strings.Contains(text, "write: false") || want != "" && !c.Page.private() {
			t.Errorf("%s: %v, %+v", text, err, c.Page)
		}
	}
	t.Setenv(pageEnv, "127.0.0.1:7")
	if c, err := LoadConfig(writePage(t, "page: {listen: 'x'}")); err != nil || c.Page.address() != "127.0.0.1:7" {
		t.Errorf("%v: %+v", err, c.Page)
	}
}
