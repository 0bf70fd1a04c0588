package credentials

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Files names PEM files for TLS. They are checked for each connection. Changed
// content is used from then on if it is valid; if not, the old content stays in
// use and the log says so.
type Files struct {
	// Cert is the certificate of this process, with the intermediate
	// certificates up to the authority. Key is its private key. A client may
	// have none.
	Cert, Key string
	// CA is the authorities that must have issued the peer's certificate.
	// Without it, a client uses those of the system, and a server requests no
	// client certificate.
	CA string
	// ServerName is the name that a worker's certificate must have if it is not
	// the dialled host. For clients.
	ServerName string
	// Log reports files that cannot be used. A nil Log discards.
	Log *slog.Logger
}

// Server loads the files and returns a server's configuration, which follows
// their changes. With CA, clients must present a certificate of one of these
// authorities.
func (f Files) Server() (*tls.Config, error) {
	if f.Cert == "" || f.Key == "" {
		return nil, errors.New("genie: a server needs a certificate and its key")
	}
	w, err := f.watch(func(m *material) *tls.Config {
		c := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: m.certs, ClientCAs: m.pool}
		if m.pool != nil {
			c.ClientAuth = tls.RequireAndVerifyClientCert
		}
		return c
	})
	if err != nil {
		return nil, err
	}
	c := w.current()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return w.current(), nil }
	return c, nil
}

// Client loads the files and gives a function that returns the configuration
// for the next connection.
func (f Files) Client() (func() *tls.Config, error) {
	if (f.Cert == "") != (f.Key == "") {
		return nil, errors.New("genie: a certificate needs its key, and a key its certificate")
	}
	w, err := f.watch(func(m *material) *tls.Config {
		return &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: m.certs, RootCAs: m.pool, ServerName: f.ServerName,
		}
	})
	if err != nil {
		return nil, err
	}
	return w.current, nil
}

// material is the content of the files.
type material struct {
	certs []tls.Certificate
	pool  *x509.CertPool // nil without CA
}

func (f Files) watch(config func(*material) *tls.Config) (*watched, error) {
	w := &watched{files: f, config: config, log: f.Log}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	text, err := f.read()
	if err != nil {
		return nil, err
	}
	if err := w.use(text); err != nil {
		return nil, err
	}
	return w, nil
}

// watched is the configuration last made from the files.
type watched struct {
	files  Files
	config func(*material) *tls.Config
	log    *slog.Logger

	mu   sync.Mutex
	text [3][]byte // last content read, valid or not
	good *tls.Config
	why  string // what was last logged
}

// current is the configuration for a new connection; the caller may change it.
func (w *watched) current() *tls.Config {
	w.mu.Lock()
	defer w.mu.Unlock()
	text, err := w.files.read()
	if err == nil && !same(text, w.text) {
		if err = w.use(text); err == nil {
			w.log.Info("TLS files have changed and are in use", "cert", w.files.Cert, "ca", w.files.CA)
		}
	} else if err == nil {
		return w.good.Clone()
	}
	if err == nil {
		w.why = ""
	} else if why := err.Error(); why != w.why {
		w.why = why
		w.log.Error("TLS files have changed and cannot be used; what they held before is used further", "error", err)
	}
	return w.good.Clone()
}

// use makes text the configuration if it is valid, and remembers it in any
// case.
func (w *watched) use(text [3][]byte) error {
	w.text = text
	m, err := w.files.parse(text)
	if err != nil {
		return err
	}
	if len(m.certs) > 0 {
		if leaf := m.certs[0].Leaf; leaf != nil && time.Now().After(leaf.NotAfter) {
			w.log.Warn("the certificate of this process has expired", "cert", w.files.Cert, "expired", leaf.NotAfter)
		}
	}
	w.good = w.config(m)
	return nil
}

func same(a, b [3][]byte) bool {
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// maxPEM bounds a PEM file; the authorities of a whole system fit.
const maxPEM = 4 << 20

func (f Files) read() (text [3][]byte, err error) {
	for i, path := range [...]string{f.Cert, f.Key, f.CA} {
		if path == "" {
			continue
		}
		if text[i], err = readPEM(path); err != nil {
			return text, err
		}
	}
	return text, nil
}

func readPEM(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("genie: TLS: %w", err)
	}
	defer func() { _ = file.Close() }()
	b, err := io.ReadAll(io.LimitReader(file, maxPEM+1))
	if err == nil && len(b) > maxPEM {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxPEM)
	}
	if err != nil {
		return nil, fmt.Errorf("genie: TLS: %w", err)
	}
	return b, nil
}

func (f Files) parse(text [3][]byte) (*material, error) {
	m := &material{}
	if f.Cert != "" {
		pair, err := tls.X509KeyPair(text[0], text[1])
		if err != nil {
			return nil, fmt.Errorf("genie: TLS: %s with %s: %w", f.Cert, f.Key, err)
		}
		m.certs = []tls.Certificate{pair}
	}
	if f.CA != "" {
		m.pool = x509.NewCertPool()
		if !m.pool.AppendCertsFromPEM(text[2]) {
			return nil, fmt.Errorf("genie: TLS: no certificate in %s", f.CA)
		}
	}
	return m, nil
}
