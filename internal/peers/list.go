package peers

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/transport"
)

// List is the addresses that a worker may dial to send values. It is the
// operator's: a client chooses the receiver, and must not make the worker connect
// to whatever it likes. The zero list allows nothing.
type List struct {
	hosts    []string // host:port, as written
	networks []network
}

// network is addresses of a prefix, on one port or on any (0).
type network struct {
	prefix netip.Prefix
	port   uint16
}

// ParseList reads a list: HOST:PORT, NETWORK/BITS or NETWORK/BITS:PORT each. A host
// is allowed as it is written; what a name means is up to the resolver. A network
// allows IP addresses, never names.
func ParseList(entries []string) (l List, err error) {
	for _, entry := range entries {
		if err := l.add(strings.TrimSpace(entry)); err != nil {
			return List{}, err
		}
	}
	return l, nil
}

func (l *List) add(entry string) error {
	address, bits, ok := strings.Cut(entry, "/")
	if !ok {
		host, port, err := net.SplitHostPort(entry)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 || host == "" {
			return fmt.Errorf("%q is not HOST:PORT, NETWORK/BITS or NETWORK/BITS:PORT", entry)
		}
		l.hosts = append(l.hosts, strings.ToLower(entry))
		return nil
	}
	bits, port, onPort := strings.Cut(bits, ":")
	prefix, err := netip.ParsePrefix(address + "/" + bits)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT, NETWORK/BITS or NETWORK/BITS:PORT", entry)
	}
	n := network{prefix: prefix.Masked()}
	if onPort {
		p, err := strconv.ParseUint(port, 10, 16)
		if err != nil || p == 0 {
			return fmt.Errorf("%q: %q is no port", entry, port)
		}
		n.port = uint16(p)
	}
	l.networks = append(l.networks, n)
	return nil
}

// Empty reports whether nothing is allowed.
func (l *List) Empty() bool { return len(l.hosts) == 0 && len(l.networks) == 0 }

// check reads an address of a ticket, "tcp://host:port" or "grpc://host:port", and
// reports whether it may be dialled.
func (l *List) check(address string) (scheme, dial string, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "tcp" && u.Scheme != "grpc" || u.Port() == "" || u.Hostname() == "" ||
		u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", "", fmt.Errorf("%w: an address that is not tcp://host:port or grpc://host:port", transport.ErrNoPeer)
	}
	if !l.allows(u.Hostname(), u.Port()) {
		return "", "", fmt.Errorf("%w: this worker is not allowed to send to the address of the ticket", transport.ErrNoPeer)
	}
	return u.Scheme, net.JoinHostPort(u.Hostname(), u.Port()), nil
}

func (l *List) allows(host, port string) bool {
	if slices.Contains(l.hosts, strings.ToLower(net.JoinHostPort(host, port))) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || ip.Zone() != "" {
		return false
	}
	ip = ip.Unmap()
	return slices.ContainsFunc(l.networks, func(w network) bool {
		return w.prefix.Contains(ip) && (w.port == 0 || uint64(w.port) == n)
	})
}
