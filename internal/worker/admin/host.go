package admin

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// doors are the host names that a request may use. A web page in a browser on
// this machine can reach a local listener through a name of its own that
// resolves to this machine (DNS rebinding); the Host header shows it.
type doors struct {
	host string // as configured: a name or an address; empty for none
	port string // of the listener
	only bool   // only this machine can reach the listener
}

func newDoors(listen net.Addr, host string) doors {
	d := doors{host: canonical(host)}
	if listen == nil {
		return d
	}
	at, err := netip.ParseAddrPort(listen.String())
	if err != nil {
		return d
	}
	d.port = strconv.Itoa(int(at.Port()))
	d.only = at.Addr().Unmap().IsLoopback()
	if a, err := netip.ParseAddr(d.host); err == nil && a.IsUnspecified() {
		d.host = "" // every address, and so no name
	}
	return d
}

// canonical is a host in the form for comparison: in lower case, without
// brackets and without the final dot.
func canonical(host string) string {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// named reports whether a request names this machine, or the configured
// address, and whether the port is the listener's.
func (d doors) named(r *http.Request) (port string, ok bool) {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		host, port = r.Host, "80"
		if r.TLS != nil {
			port = "443"
		}
	}
	host = canonical(host)
	if host == "" {
		return "", false
	}
	if host == "localhost" || host == d.host {
		return port, true
	}
	a, err := netip.ParseAddr(host)
	return port, err == nil && a.Unmap().IsLoopback()
}

// known refuses requests with other names if only this machine is served. The
// port may differ, for example for a tunnel.
func (d doors) known(h http.Handler) http.Handler {
	if !d.only {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := d.named(r); !ok {
			refuseHost(w)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// exact refuses requests with other names and ports, and those that a browser
// makes for the page of another site.
func (d doors) exact(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if port, ok := d.named(r); !ok || port != d.port {
			refuseHost(w)
			return
		}
		if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "none" && site != "same-origin" {
			http.Error(w, "profiles are not for other sites", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func refuseHost(w http.ResponseWriter) {
	http.Error(w, "the request names another host", http.StatusMisdirectedRequest)
}
