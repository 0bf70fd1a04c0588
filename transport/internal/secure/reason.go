package secure

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/genie-sdk/go/transport"
)

// handshakeError gives a failed handshake its cause.
func handshakeError(err error) error {
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Errorf("%w: the worker does not speak TLS (%q...)", transport.ErrProtocol, record.RecordHeader[:4])
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("%w: the worker's certificate is not accepted: %w", transport.ErrUnauthenticated, err)
	}
	if alert := alertError(err, true); alert != nil {
		return alert
	}
	return err
}

// alertError translates an alert of the worker; nil if err is not an alert.
// shown says that this client has a certificate.
func alertError(err error, shown bool) error {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return nil
	}
	text := strings.TrimPrefix(op.Err.Error(), "tls: ")
	switch {
	case strings.Contains(text, "certificate") && !shown:
		return fmt.Errorf("%w: the worker requires a client certificate and none was given (%s)", transport.ErrUnauthenticated, text)
	case strings.Contains(text, "certificate"), text == "access denied":
		return fmt.Errorf("%w: the worker does not accept this client's certificate (%s)", transport.ErrUnauthenticated, text)
	default:
		return fmt.Errorf("%w: the worker ends the TLS handshake (%s)", transport.ErrProtocol, text)
	}
}

// AlertStart reports whether b, the first bytes from a peer, begin a TLS alert:
// the peer requires TLS and this client does not use it.
func AlertStart(b []byte) bool { return len(b) >= 2 && b[0] == 0x15 && b[1] == 0x03 }

// ErrWantsTLS is the error of a client without TLS whose worker requires it.
func ErrWantsTLS() error {
	return fmt.Errorf("%w: the worker speaks TLS, which this client was not told to use", transport.ErrProtocol)
}

// errorBox holds the first error put into it.
type errorBox struct {
	mu  sync.Mutex
	err error
}

func (b *errorBox) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
}

func (b *errorBox) get() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}
