package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestLinksAndTheUplinkAreConfigured(t *testing.T) {
	t.Setenv("SKERRY_UPLINK_FULL", "hold")
	c, err := LoadConfig(writeConfig(t, `
broker: {listen: '127.0.0.1:0', anonymous: true}
links: [{name: lte, day: 1MB, month: 20MB, rate: 10KiB, reserve: 100kB, metered: ["0 6 * * * FOR 16h"]}, {name: lan}]
uplink: {disk: 64MiB, full: evict, link: lte}
http: {link: lan}
targets: [{name: a, kind: http, url: 'http://h'}, {name: b, kind: http, url: 'http://h', link: lan}]
`))
	if err != nil {
		t.Fatal(err)
	}
	lte := LinkConfig{Name: "lte", Day: 1e6, Month: 20e6, Rate: 10 << 10, Reserve: 100e3, Metered: []string{"0 6 * * * FOR 16h"}}
	if !reflect.DeepEqual(c.Links, []LinkConfig{lte, {Name: "lan"}}) || c.Uplink != (UplinkConfig{Disk: 64 << 20, Full: "hold", Link: "lte"}) {
		t.Errorf("links %+v, uplink %+v", c.Links, c.Uplink)
	}
	if a, b, h := c.linkOf(c.Targets[0].Link), c.linkOf(c.Targets[1].Link), c.linkOf(c.HTTP.Link); a != "lte" || b != "lan" || h != "lan" {
		t.Errorf("a goes over %q, b over %q, requests over %q", a, b, h)
	}
	if c, err = LoadConfig(writeConfig(t, "limits: {disk: 64MiB}\nregistry: {ref: 'oci://h/fleet', root_file: root.json}")); err != nil || c.Uplink != (UplinkConfig{Disk: 32 << 20, Full: "hold"}) {
		t.Errorf("without a section: %+v, %v", c.Uplink, err)
	}
}

func TestMistakesInLinksAreTold(t *testing.T) {
	for _, tt := range []struct{ yaml, want string }{
		{"links: [{day: 1MB}]", "links[0].name: is 1 to 64 letters"},
		{"links: [{name: a}, {name: a}]", `links[1].name: "a" is the name of links[0] already`},
		{"links: [{name: a, day: lots}]", "links[0].day: is a size"},
		{"links: [{name: a, dya: 1MB}]", `links[0].dya: there is no such key; did you mean "day"?`},
		{"links: [{name: a, rate: 1MB, reserve: 1kB}]", "links[0].reserve: is a part of day and month: set one of them"},
		{"links: [{name: a, day: 1MB, reserve: 1MB}]", "links[0].reserve: is 976.6 KiB, all of day or more"},
		{"links: [{name: a, metered: ['0 6 * * * FOR 1h']}]", "links[0].metered: says when day and month count"},
		{"links: [{name: a, day: 1MB, metered: ['0 6 * * *']}]", "links[0].metered[0]: "},
		{"links: [{name: a, day: 1MB, metered: ['0 6 * * * FOR ever']}]", "links[0].metered[0]: "},
		{"links: [{name: a, day: 1MB, metered: ['0 26 * * * FOR 1h']}]", "links[0].metered[0]: "},
		{"uplink: {link: lte}", `uplink.link: is "lte", and links is empty: describe the link there`},
		{"links: [{name: a}, {name: b}]\nhttp: {link: c}", `http.link: is the name of one of links (a, b), not "c"`},
		{"links: [{name: a}]\ntargets: [{name: x, kind: http, url: 'http://h', link: c}]", `targets[0].link: is the name of one of links (a), not "c"`},
		{"uplink: {full: stop}", `uplink.full: is one of evict, hold, not "stop"`},
		{"uplink: {disk: 1GiB}", "uplink.disk: is from 1MiB to limits.disk, which is 256.0 MiB, not 1.0 GiB"},
	} {
		_, err := LoadConfig(writeConfig(t, tt.yaml))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\ngot  %v\nwant %s", tt.yaml, err, tt.want)
		}
	}
}
