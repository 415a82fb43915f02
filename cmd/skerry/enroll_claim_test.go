package main

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// someClaim is one for a fleet with a broker.
func someClaim() *claim {
	return &claim{
		Fleet: "west", Labels: []string{"site=west", "hw=pi5"},
		Broker: claimBroker{URL: "mqtts://hub.example", Username: "dev-%i", Password: canary + "claim", CA: "pem"},
	}
}

func TestClaimsAreWords(t *testing.T) {
	c := someClaim()
	c.Expires = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	text, err := c.encode()
	if err != nil {
		t.Fatal(err)
	}
	folded := strings.ReplaceAll(text, "e", "e\r\n ")
	for _, given := range []string{text, text + "\n", folded} {
		if back, err := parseClaim(given); err != nil || !reflect.DeepEqual(back, c) {
			t.Errorf("came back as %+v, %v", back, err)
		}
	}
	for _, bad := range []string{"", "x", text[:len(text)-1], text[:len(text)/2], strings.Replace(text, "e", "f", 1), strings.Replace(text, "claim-1", "claim-2", 1), strings.Repeat("a", 100_000)} {
		if _, err := parseClaim(bad); err == nil {
			t.Errorf("%.40s is taken", bad)
		} else {
			leaks(t, "an error", err.Error())
		}
	}
	for want, change := range map[string]func(*claim){
		"names no registry":       func(c *claim) { c.Broker = claimBroker{} },
		"an id is for one":        func(c *claim) { c.ID = "gw7" },
		"id is 1 to 64":           func(c *claim) { c.ID, c.One = "gw 7", true },
		"fleet is 1 to 64":        func(c *claim) { c.Fleet = "../x" },
		"root of keys":            func(c *claim) { c.Registry = claimRegistry{Ref: "oci://h/f", Root: "{}"} },
		"has more than one line":  func(c *claim) { c.Broker.Password = "a\nb" },
		"another release of sker": func(c *claim) { c.Labels = nil },
	} {
		c := someClaim()
		change(c)
		text, err := c.encode()
		if strings.HasPrefix(want, "another") {
			data := []byte(`{"v":2}`)
			text = strings.Join([]string{claimMark, "eyJ2IjoyfQ", claimSum(data)}, ":")
		}
		if err == nil {
			_, err = parseClaim(text)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func FuzzClaim(f *testing.F) {
	text, err := someClaim().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(claimMark + "::")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := parseClaim(text); err == nil && c.check() != nil {
			t.Error("a claim that is taken is refused")
		}
	})
}
