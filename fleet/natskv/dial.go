package natskv

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/genie-sdk/go/transport/credentials"
)

// dialer connects to a server: it does the handshake itself, so that the guard is
// between the encryption and the library.
type dialer struct {
	ctx     context.Context //nolint:containedctx // the library's interface has none; ends when the directory closes
	given   credentials.Client
	encrypt bool // asked for
	config  func() *tls.Config
	timeout time.Duration
	failed  func(error) // is told why there is no connection
}

// SkipTLSHandshake tells the library that there is nothing left to do.
func (*dialer) SkipTLSHandshake() bool { return true }

// newDialer loads the credentials' files.
func newDialer(ctx context.Context, o *options, encrypt bool, failed func(error)) (*dialer, error) {
	d := &dialer{ctx: ctx, given: o.credentials, encrypt: encrypt, timeout: o.timeout, failed: failed}
	switch c := o.credentials; {
	case c.Files != nil:
		config, err := c.Files.Client()
		if err != nil {
			return nil, err
		}
		d.config, d.encrypt = config, true
	case c.TLS != nil:
		d.config, d.encrypt = func() *tls.Config { return c.TLS.Clone() }, true
	default:
		d.config = func() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS13} }
	}
	return d, nil
}

// Dial connects. The server's first line comes without encryption: it says whether
// the server has any, and is authenticated by nothing, so that whether to encrypt is
// never up to it.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	c, err := d.dial(network, address)
	if err != nil {
		d.failed(err)
	}
	return c, err
}

func (d *dialer) dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.timeout)
	defer cancel()
	var nd net.Dialer
	c, err := nd.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	secured, err := d.handshake(ctx, c, address)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return secured, nil
}

func (d *dialer) handshake(ctx context.Context, c net.Conn, address string) (net.Conn, error) {
	info, err := readLine(c)
	if err != nil {
		return nil, err
	}
	var offers struct {
		Required  bool `json:"tls_required"`
		Available bool `json:"tls_available"`
	}
	text, ok := bytes.CutPrefix(info, []byte("INFO "))
	if !ok || json.Unmarshal(text, &offers) != nil {
		return nil, fmt.Errorf("%w: it begins with %.40q", errProtocol, info)
	}
	encrypted := d.encrypt || offers.Required
	if encrypted {
		if !offers.Required && !offers.Available {
			return nil, errors.New("genie: the directory's server has no TLS")
		}
		config := d.config()
		if config.ServerName == "" {
			if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
				return nil, err
			}
		}
		config.MinVersion = tls.VersionTLS13
		t := tls.Client(c, config)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		c = t
	}
	if token := d.given.Token != "" || d.given.TokenFile != ""; token && !encrypted && !d.given.Insecure && !local(c.RemoteAddr()) {
		return nil, errors.New("genie: the token is not sent to the directory without TLS")
	}
	return &guardedConn{Conn: c, first: info}, nil
}

// local reports whether an address is on this machine.
func local(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return !ok || t.IP.IsLoopback()
}
