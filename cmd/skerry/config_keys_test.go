package main

import (
	"strings"
	"testing"
)

func TestOfKeysThatDifferInCaseOneWinsAlways(t *testing.T) {
	path := writeConfig(t, "Broker: {Listen: 'localhost:1', ANONYMOUS: true}\nDATA: /upper\ndata: /lower\nData: /mixed\nLog: {LEVEL: warn}\nSecrets: [{Name: Site, ENV: HOME}]\n")
	for range 20 {
		c, err := LoadConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		if c.Data != "/lower" || c.Log.Level != "warn" || len(c.Secrets) != 1 || c.Secrets[0].Name != "Site" || c.Secrets[0].Env != "HOME" {
			t.Fatalf("data %s, log %+v, secrets %+v", c.Data, c.Log, c.Secrets)
		}
	}
}

func TestMistakesInKeysThatNobodyWrites(t *testing.T) {
	for text, want := range map[string]string{
		"brokrs: {}":                 `skerry.yaml: brokrs: there is no such key; did you mean "brokers"?`,
		"data: {}":                   "skerry.yaml: data: is text: put ",
		"5: x":                       "skerry.yaml: 5: there is no such key",
		"log: {true: x}":             "skerry.yaml: log.true: there is no such key",
		"links: [{name: l, 7: x}]":   "skerry.yaml: links[0].7: there is no such key",
		"registry: {ref.x: oci://h}": `skerry.yaml: registry.ref.x: there is no such key; did you mean "ref"?`,
	} {
		if _, err := LoadConfig(writeConfig(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", text, err, want)
		}
	}
}
