package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/internal/remote"
	"github.com/genie-sdk/go/transport/internal/secure"
	"github.com/genie-sdk/go/transport/wire/grpcwire"
)

// alpn is the protocol that client and worker negotiate in TLS for gRPC.
const alpn = "h2"

// creds handles the one connection of an executor: it counts the bytes, sets up
// TLS if wanted, and stores the reason of a failure, because gRPC passes on
// only the text of an error.
type creds struct {
	credentials.TransportCredentials // without TLS

	guard  *secure.Client
	addr   string
	ledger *transport.Ledger
	token  string // set before the stream opens

	mu   sync.Mutex
	err  error
	conn interface{ Refused() error }
}

func newCreds(guard *secure.Client, addr string, ledger *transport.Ledger) *creds {
	return &creds{TransportCredentials: insecure.NewCredentials(), guard: guard, addr: addr, ledger: ledger}
}

// ClientHandshake implements [credentials.TransportCredentials].
func (c *creds) ClientHandshake(ctx context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	token, err := c.guard.Token(conn.RemoteAddr())
	if err != nil {
		_ = conn.Close()
		return nil, nil, c.failed(&remote.FinalError{Err: err})
	}
	c.mu.Lock()
	c.token = token
	c.mu.Unlock()
	if !c.guard.TLS() {
		first := &firstBytes{Conn: conn}
		c.watch(first)
		_, info, err := c.TransportCredentials.ClientHandshake(ctx, c.addr, first)
		return grpcwire.CountConn(first, c.ledger), info, err
	}
	tc, err := c.guard.Handshake(ctx, conn, c.addr, alpn, c.ledger)
	if err != nil {
		return nil, nil, c.failed(err)
	}
	c.watch(tc)
	info := credentials.TLSInfo{
		State:          tc.ConnectionState(),
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}
	return grpcwire.CountConn(tc, underTLS{c.ledger}), info, nil
}

// Info implements [credentials.TransportCredentials].
func (c *creds) Info() credentials.ProtocolInfo {
	if !c.guard.TLS() {
		return c.TransportCredentials.Info()
	}
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone implements [credentials.TransportCredentials]. There is only one
// connection.
func (c *creds) Clone() credentials.TransportCredentials { return c }

func (c *creds) failed(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	return err
}

func (c *creds) watch(conn interface{ Refused() error }) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
}

// reason is why the connection failed; err if no better reason is known.
func (c *creds) reason(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if c.err != nil {
		return c.err
	}
	if c.conn != nil {
		if why := c.conn.Refused(); why != nil {
			return why
		}
	}
	return err
}

// underTLS counts bytes that do not belong to a message; the socket below
// counts all bytes.
type underTLS struct{ *transport.Ledger }

func (underTLS) AddSocket(int, int) {}

// firstBytes is a connection without TLS that detects a peer that requires TLS
// or does not speak HTTP/2.
type firstBytes struct {
	net.Conn
	mu   sync.Mutex
	seen [4]byte
	n    int
}

// settings is the type of the first frame of an HTTP/2 server; it is the fourth
// byte of the frame (RFC 9113, 3.4 and 4.1).
const settings = 4

// Read reads and inspects the first bytes.
func (f *firstBytes) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n < len(f.seen) {
		f.n += copy(f.seen[f.n:], b[:n])
	}
	return n, err
}

// Refused says that the peer requires TLS or speaks another protocol; nil
// otherwise.
func (f *firstBytes) Refused() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case secure.AlertStart(f.seen[:f.n]):
		return secure.ErrWantsTLS()
	case f.n == len(f.seen) && f.seen[3] != settings:
		return fmt.Errorf("%w: what answers there does not speak gRPC (%q...)", transport.ErrProtocol, f.seen[:])
	}
	return nil
}
