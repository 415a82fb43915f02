package uplink_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/uplink"
)

// names is a resolver of a DNS server that knows these names, "api.example.".
func names(t testing.TB, known map[string][]string) *net.Resolver {
	t.Helper()
	return resolver(t, func(name string) []string { return known[name] })
}

// resolver asks a DNS server on 127.0.0.1 whose answers come from lookup, one
// call for each question of type A and AAAA.
func resolver(t testing.TB, lookup func(name string) []string) *net.Resolver {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		b := make([]byte, 512)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			c.WriteTo(dnsAnswer(b[:n], lookup), from) // a client that is gone fails its own test
		}
	})
	t.Cleanup(func() { c.Close(); serving.Wait() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}

// dnsAnswer answers a message with one question (RFC 1035, 4.1).
func dnsAnswer(query []byte, lookup func(string) []string) []byte {
	const header, typeA, typeAAAA = 12, 1, 28
	var name strings.Builder
	at := header
	for query[at] != 0 {
		size := int(query[at])
		name.Write(query[at+1 : at+1+size])
		name.WriteByte('.')
		at += 1 + size
	}
	asked := binary.BigEndian.Uint16(query[at+1:])
	end := at + 5
	answer := append([]byte{}, query[:end]...)
	answer[2], answer[3] = 0x85, 0x80          // an authoritative answer, no error
	copy(answer[6:], []byte{0, 0, 0, 0, 0, 0}) // no other sections
	for _, text := range lookup(name.String()) {
		ip := netip.MustParseAddr(text)
		if ip.Is4() != (asked == typeA) || asked != typeA && asked != typeAAAA {
			continue
		}
		answer = append(answer, 0xc0, header, 0, byte(asked), 0, 1, 0, 0, 0, 0, 0, byte(ip.BitLen()/8))
		answer = append(answer, ip.AsSlice()...)
		answer[7]++
	}
	return answer
}

// A granted name that leads to an address that is not public is refused before
// anything is connected to, with what to grant if that is meant.
func TestFetchRefusesAddressesBehindNames(t *testing.T) {
	for _, ip := range []string{
		"127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.5", "172.16.0.1", "192.168.7.20", "100.64.0.1",
		"169.254.169.254", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1",
		"::1", "::", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::101:101", "2002:7f00:1::",
		"fd00::5", "fe80::1", "ff02::1",
	} {
		f := newFetcher(t, uplink.FetchOptions{Resolver: names(t, map[string][]string{"api.example.": {ip}})})
		for _, scheme := range []string{"http", "https"} {
			_, err := f.Fetch(t.Context(), &agent.HTTPRequest{
				Method: "GET", URL: scheme + "://api.example/", Grants: grants(t, scheme+"://api.example", "192.0.2.0/24"),
			})
			if !errors.Is(err, agent.ErrDenied) || f.BytesUp() != 0 {
				t.Errorf("%s at %s: %v", scheme, ip, err)
			}
		}
	}
	f := newFetcher(t, uplink.FetchOptions{Resolver: names(t, map[string][]string{"api.example.": {"10.0.0.5"}})})
	_, err := f.Fetch(t.Context(), &agent.HTTPRequest{Method: "GET", URL: "https://api.example/", Grants: grants(t, "api.example")})
	want := `request to api.example: it leads to 10.0.0.5, a private address: if that is meant, add "10.0.0.5/32" or its network to permissions.http of the function: not granted`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestFetchFromGrantedNetwork(t *testing.T) {
	srv := httptest.NewServer(status(200))
	defer srv.Close()
	base := strings.Replace(srv.URL, "127.0.0.1", "nas.plant.example", 1)
	f := newFetcher(t, uplink.FetchOptions{Resolver: names(t, map[string][]string{
		"nas.plant.example.": {"127.0.0.2", "127.0.0.1"}, // the second is granted
	})})
	resp, err := f.Fetch(t.Context(), &agent.HTTPRequest{Method: "GET", URL: base, Grants: grants(t, base, "127.0.0.1/32")})
	if err != nil || resp.Status != 200 {
		t.Errorf("got %+v, %v", resp, err)
	}
}

// listenOn serves on one of the loopback addresses and the given port, "0" for any.
func listenOn(t *testing.T, addr string, far http.HandlerFunc) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(far)
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	t.Cleanup(srv.Close)
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// A name that changes its address between two requests, or between looking and
// connecting, leads nowhere that was not granted.
func TestFetchNameThatMoves(t *testing.T) {
	var first, second atomic.Int32
	port := listenOn(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) {
		first.Add(1)
		w.Header().Set("Connection", "close")
	})
	listenOn(t, "127.0.0.2:"+port, func(http.ResponseWriter, *http.Request) { second.Add(1) })
	var moved atomic.Bool
	f := newFetcher(t, uplink.FetchOptions{Resolver: resolver(t, func(string) []string {
		if moved.Load() {
			return []string{"127.0.0.2"}
		}
		return []string{"127.0.0.1"}
	})})
	get := func() error {
		base := "http://api.example:" + port
		_, err := f.Fetch(t.Context(), &agent.HTTPRequest{Method: "GET", URL: base, Grants: grants(t, base, "127.0.0.1/32")})
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	moved.Store(true)
	if err := get(); !errors.Is(err, agent.ErrDenied) {
		t.Errorf("after the name moved: %v", err)
	}
	if first.Load() != 1 || second.Load() != 0 {
		t.Errorf("%d and %d requests, want 1 and 0", first.Load(), second.Load())
	}
}

// A connection that one function made because a network was granted to it is
// not there for another one.
func TestFetchDoesNotLendConnections(t *testing.T) {
	var hits, conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	base := strings.Replace(srv.URL, "127.0.0.1", "api.example", 1)
	f := newFetcher(t, uplink.FetchOptions{Resolver: names(t, map[string][]string{"api.example.": {"127.0.0.1"}})})
	get := func(granted ...string) error {
		_, err := f.Fetch(t.Context(), &agent.HTTPRequest{Method: "GET", URL: base, Grants: grants(t, granted...)})
		return err
	}
	for range 3 {
		if err := get(base, loopback); err != nil {
			t.Fatal(err)
		}
		if err := get("*.plant.example", base); !errors.Is(err, agent.ErrDenied) {
			t.Errorf("without the network: %v", err)
		}
	}
	if hits.Load() != 3 || conns.Load() != 1 {
		t.Errorf("%d requests on %d connections, want 3 on 1", hits.Load(), conns.Load())
	}
	for i := range 20 { // more pools than are kept
		if err := get(base, loopback, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16).String()); err != nil {
			t.Error(err)
		}
	}
}

// What a request began ends with it, or a function that ends its requests
// quickly leaves dials behind without bound. Not inside a synctest bubble: net
// keeps a channel of the first look-up, and one made in a bubble ends the process
// when another test looks up a name.
func TestFetchDialEndsWithRequest(t *testing.T) {
	var dials, ended atomic.Int32
	f := newFetcher(t, uplink.FetchOptions{Resolver: &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			dials.Add(1)
			<-ctx.Done()
			ended.Add(1)
			return nil, ctx.Err()
		},
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := f.Fetch(ctx, &agent.HTTPRequest{Method: "GET", URL: "https://api.example/", Grants: grants(t, "api.example")})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	testbed.Eventually(t, 10*time.Second, "the look-ups end", func() error {
		if dials.Load() == 0 || ended.Load() != dials.Load() {
			return fmt.Errorf("%d of %d look-ups ended with the request", ended.Load(), dials.Load())
		}
		return nil
	})
}
