package connlimit

import (
	"net"
	"net/netip"
)

// Network is the address or network that a peer counts for. The addresses of an
// IPv6 /64 network count as one, since a single client has them all. Peers
// without an IP address, such as those of a Unix socket, count as one.
func Network(from string) netip.Addr {
	host, _, err := net.SplitHostPort(from)
	if err != nil {
		host = from
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
