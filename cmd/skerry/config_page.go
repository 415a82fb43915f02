package main

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/skerry-edge/skerry/agent/page"
)

// PageConfig is the page for people, and what programs ask beside it: health and
// figures. It is on unless Listen says off.
type PageConfig struct {
	Listen    string   `key:"listen"` // host:port, or off; "" for defaultPage, if nobody else has that
	Hosts     []string `key:"hosts"`  // what browsers call this device, beside the address itself
	TokenFile string   `key:"token_file"`
	CertFile  string   `key:"cert_file"`
	KeyFile   string   `key:"key_file"`
	Write     bool     `key:"write"` // false: it may be looked at only
}

const (
	defaultPage = "127.0.0.1:9180"
	pageOff     = "off"
	pageEnv     = "SKERRY_PAGE_LISTEN"
	minToken    = 16 // characters: nobody guesses so many
)

// pageDefault is what the section says before anything is read.
func pageDefault() PageConfig { return PageConfig{Write: true} }

// address is where to listen, "" for nowhere.
func (p *PageConfig) address() string {
	if p.Listen == pageOff {
		return ""
	}
	return cmp.Or(p.Listen, defaultPage)
}

// private tells that only this device reaches the page.
func (p *PageConfig) private() bool {
	host, _, err := net.SplitHostPort(p.address())
	return err == nil && page.Loopback(host)
}

// token is what programs and people show at the door, read anew each time, "" for
// nothing: then nobody gets in by a token.
func (p *PageConfig) token() (string, error) {
	if p.TokenFile == "" {
		return "", nil
	}
	line, err := firstLine(p.TokenFile)
	if err == nil && len(line) < minToken {
		err = fmt.Errorf("the token in %s has %d characters, at least %d are needed so that nobody guesses it: make one with head -c 24 /dev/urandom | base64", p.TokenFile, len(line), minToken)
	}
	return line, err
}

func (c *Config) checkPage(p *problems) {
	g := &c.Page
	p.checkFile("page.token_file", g.TokenFile)
	p.checkPair("page", g.CertFile, g.KeyFile)
	if g.TokenFile != "" {
		if _, err := g.token(); err != nil {
			p.add("page.token_file", "%v", err)
		}
	}
	for i, h := range g.Hosts {
		if !hostName(h) {
			p.add(fmt.Sprintf("page.hosts[%d]", i), "is a name or an address that browsers call this device by, such as gw7.plant.example, without port, not %q", h)
		}
	}
	if g.address() == "" {
		return
	}
	_, port, err := net.SplitHostPort(g.address())
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n > 65535 {
		p.add("page.listen", "is host:port, such as %s, or off, not %q", defaultPage, g.Listen)
		return
	}
	if g.private() {
		return
	}
	if g.CertFile == "" {
		p.add("page.cert_file", "and key_file are missing: other machines reach %s, and what is not encrypted others can read; set them, or listen on 127.0.0.1", g.Listen)
	}
	if g.TokenFile == "" {
		p.add("page.token_file", "is missing: other machines reach %s, so set it, or listen on 127.0.0.1", g.Listen)
	}
}

// hostName tells whether text can be the host of a URL.
func hostName(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	return text != "" && len(text) <= 253 && strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
}
