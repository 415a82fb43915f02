package page

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Loopback tells whether host, without port, can mean this machine alone.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// checkHost refuses names that are not this device's: a stranger's page may have a
// name of its own lead here (DNS rebinding), and would then count as the same
// origin. Addresses cannot be made to lead elsewhere.
func (g *Guard) checkHost(r *http.Request) *refusal {
	host := hostOf(r)
	if Loopback(host) || slices.ContainsFunc(g.opts.Hosts, func(name string) bool { return strings.EqualFold(name, host) }) {
		return nil
	}
	if addr, err := netip.ParseAddr(host); err == nil && asked(r) == addr.Unmap() {
		return nil
	}
	return &refusal{status: http.StatusMisdirectedRequest, text: fmt.Sprintf("this device is not called %.64q: open its page as 127.0.0.1 or localhost, or add the name to page.hosts", host)}
}

// hostOf is the name that the client has for this device, without port.
func hostOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.Trim(r.Host, "[]")
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// asked is the address that the connection came to.
func asked(r *http.Request) netip.Addr {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return netip.Addr{}
	}
	to, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return netip.Addr{}
	}
	return to.Addr().Unmap().WithZone("")
}

// here tells that a request comes from this device, and not through a proxy on it.
func here(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && from.Addr().Unmap().IsLoopback() && Loopback(hostOf(r)) &&
		len(r.Header["X-Forwarded-For"])+len(r.Header["Forwarded"]) == 0
}

// checkOrigin refuses what a browser sends because another site told it to. Such a
// site may lead to the files of the page, with a link, but may not use them.
func checkOrigin(r *http.Request, file bool) *refusal {
	if file && r.Header.Get("Sec-Fetch-Mode") == "navigate" {
		return nil
	}
	foreign := slices.ContainsFunc(r.Header["Sec-Fetch-Site"], func(site string) bool { return site != "same-origin" && site != "none" }) ||
		slices.ContainsFunc(r.Header["Origin"], func(origin string) bool { return !sameOrigin(r, origin) })
	if foreign {
		return &refusal{status: http.StatusForbidden, text: "another site asked for this, and only the page itself may: open the page, and do it there"}
	}
	return nil
}

func sameOrigin(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// fromPage tells that a browser says that the page itself sent this, as all do that
// are not very old.
func fromPage(r *http.Request) bool {
	return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") == "same-origin"
}
