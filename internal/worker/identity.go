package worker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/genie-sdk/go/transport"
)

// Anonymous is the identity of clients that need not authenticate.
const Anonymous = "anonymous"

// Authenticator maps tokens to identities.
type Authenticator interface {
	// Authenticate is the identity that a token belongs to. from is the address
	// of the client. Errors wrap [transport.ErrUnauthenticated]. The client
	// gets their text, after the time of the error's Delay method, if it has
	// one.
	Authenticate(from string, token []byte) (identity string, err error)
}

// subject is the name in a client's certificate; empty without a certificate.
type subject struct{ name string }

// subjectOf is the subject of the certificate that a handshake has verified, in
// the form of RFC 2253: "CN=alice,O=team". For a certificate without a subject
// it is the first URI, DNS name or mail address.
func subjectOf(state tls.ConnectionState) subject {
	if len(state.VerifiedChains) == 0 {
		return subject{}
	}
	cert := state.PeerCertificates[0]
	switch {
	case cert.Subject.String() != "":
		return subject{cert.Subject.String()}
	case len(cert.URIs) > 0:
		return subject{"URI=" + cert.URIs[0].String()}
	case len(cert.DNSNames) > 0:
		return subject{"DNS=" + cert.DNSNames[0]}
	case len(cert.EmailAddresses) > 0:
		return subject{"MAIL=" + cert.EmailAddresses[0]}
	}
	return subject{fmt.Sprintf("SERIAL=%x", cert.SerialNumber)}
}

// identify determines the identity of the connection.
func (c *conn) identify(token []byte) error {
	identity := c.subject.name
	if auth := c.s.opts.Auth; auth != nil {
		name, err := auth.Authenticate(c.peer, token)
		if err != nil {
			c.delay(err)
			return err
		}
		identity = name
	}
	if t := c.s.opts.TLS; identity == "" && t != nil && t.ClientAuth >= tls.RequireAnyClientCert {
		return fmt.Errorf("%w: no certificate that can be verified", transport.ErrUnauthenticated)
	}
	if identity == "" {
		identity = Anonymous
	}
	t := c.s.tenants.join(identity)
	if err := t.bytes.take(c.toll()); err != nil {
		c.s.tenants.leave(t)
		return err
	}
	c.tenant = t
	c.log = c.log.With("identity", identity)
	if err := c.guest.Admit(identity, c.tenant.connections); err != nil {
		c.s.meter.Refused(err)
		return err
	}
	c.known = true
	return nil
}

// delay waits before a peer is refused, as long as err says and the connection
// is open.
func (c *conn) delay(err error) {
	var later interface{ Delay() time.Duration }
	if !errors.As(err, &later) || later.Delay() <= 0 {
		return
	}
	t := time.NewTimer(later.Delay())
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
}
