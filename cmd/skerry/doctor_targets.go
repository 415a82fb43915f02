package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// soon is when the end of a certificate is worth a word.
const soon = 14 * 24 * time.Hour

// checkTargets connects to where each target goes, and sends nothing but what TLS
// needs. What is found is told once for each place.
func checkTargets(ctx context.Context, cfg *Config) []finding {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	places, names := []place{}, map[string][]string{}
	for i := range cfg.Targets {
		for _, p := range placesOf(&cfg.Targets[i]) {
			if names[p.key()] == nil {
				places = append(places, p)
			}
			names[p.key()] = append(names[p.key()], cfg.Targets[i].Name)
		}
	}
	found := make([]finding, len(places))
	var asking sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := range places {
		asking.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			found[i] = places[i].check(ctx, few(slices.Compact(names[places[i].key()])))
		})
	}
	asking.Wait()
	return found
}

// place is a host that a target goes to.
type place struct {
	addr, host    string // host:port; the name that a certificate is for
	secure        bool
	proxy         string // host:port that it goes through; "": none
	ca, cert, pem string // files
}

func (p *place) key() string {
	return fmt.Sprint(p.addr, p.secure, p.proxy, p.ca)
}

// awsHosts are what stands before the region in the addresses of AWS.
var awsHosts = map[string]string{"lambda": "lambda", "stepfunctions": "states", "xray": "xray"}

// placesOf lists where a target goes, with the place of its tokens.
func placesOf(t *TargetConfig) (all []place) {
	to := cmp.Or(t.URL, t.Endpoint)
	if service, ok := awsHosts[t.Kind]; ok && to == "" {
		to = "https://" + service + "." + t.Region + ".amazonaws.com"
	}
	switch t.Kind {
	case "ifttt":
		to = cmp.Or(to, "https://maker.ifttt.com")
	case "hookio":
		to = cmp.Or(to, "https://hook.io")
	}
	for _, text := range []string{to, t.TokenURL} {
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" {
			continue
		}
		p := place{host: u.Hostname(), ca: t.CAFile, cert: t.CertFile, pem: t.KeyFile}
		p.secure = slices.Contains([]string{"https", "ssl", "tls", "mqtts", "wss"}, u.Scheme)
		port := map[string]string{"https": "443", "http": "80", "wss": "443", "ws": "80", "tcp": "1883", "mqtt": "1883"}[u.Scheme]
		p.addr = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port, "8883"))
		if strings.HasPrefix(u.Scheme, "http") {
			if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err == nil && proxy != nil {
				p.proxy = net.JoinHostPort(proxy.Hostname(), cmp.Or(proxy.Port(), "80"))
			}
		}
		all = append(all, p)
	}
	return all
}

// check tells whether the place answers, and how long its certificate is good.
func (p *place) check(ctx context.Context, names string) finding {
	about := fmt.Sprintf("%s at %s", names, p.addr)
	if p.proxy != "" {
		about += " through the proxy " + p.proxy
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", cmp.Or(p.proxy, p.addr))
	if err != nil {
		return finding{"target", warning, about + " is not reached: " + reachText(err), "what is for it waits on the disk, and goes when it is there; skerry uplink why tells more"}
	}
	defer c.Close()
	if !p.secure || p.proxy != "" { // a proxy would have to be asked for the rest
		return finding{"target", fine, about + " answers", ""}
	}
	conf := &tls.Config{ServerName: p.host, MinVersion: tls.VersionTLS12}
	if ca, err := trusting("ca_file", p.ca); err != nil {
		return finding{"target", failing, names + ": " + oneSentence(err), ""}
	} else if ca != nil {
		conf.RootCAs = ca.RootCAs
	}
	if p.cert != "" {
		own, err := tls.LoadX509KeyPair(p.cert, p.pem)
		if err != nil {
			return finding{"target", failing, names + ": cert_file and key_file: " + oneSentence(err), ""}
		}
		conf.Certificates = []tls.Certificate{own}
	}
	secure := tls.Client(c, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		return tlsFinding(about, err)
	}
	defer secure.Close()
	until := secure.ConnectionState().PeerCertificates[0].NotAfter
	if left := until.Sub(reachedAlone()); left < soon {
		return finding{"target", warning, fmt.Sprintf("%s answers, and its certificate ends on %s", about, until.UTC().Format(time.DateOnly)), "have it renewed there: then nothing would go"}
	}
	return finding{"target", fine, fmt.Sprintf("%s answers, its certificate is good until %s", about, until.UTC().Format(time.DateOnly)), ""}
}

// tlsFinding says why a greeting of TLS failed.
func tlsFinding(about string, err error) finding {
	next := "name what signed it in ca_file, or have it mended there"
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		next = "have it renewed there; if it is good, this clock is wrong"
	case errors.As(err, &unknown), errors.As(err, &invalid), errors.As(err, &host):
	default:
		return finding{"target", warning, about + " answers, but TLS does not come about: " + reachText(err), "check the port, and cert_file if it wants a certificate of this device"}
	}
	return finding{"target", failing, about + ": " + oneSentence(err), next}
}
