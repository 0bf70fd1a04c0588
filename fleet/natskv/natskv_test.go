package natskv_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/fleet/natskv"
	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/internal/fleettest"
	"github.com/genie-sdk/go/internal/natsserver"
	"github.com/genie-sdk/go/transport/credentials"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

func start(t *testing.T, o natsserver.Options) *natsserver.Server {
	t.Helper()
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := natsserver.Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	return s
}

func open(t *testing.T, url string, opts ...natskv.Option) *natskv.KV {
	t.Helper()
	d, err := natskv.Open(url, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestDirectory(t *testing.T) {
	fleettest.Run(t, func(t *testing.T) func() fleet.Directory {
		url := "nats://" + start(t, natsserver.Options{}).Addr().String()
		return func() fleet.Directory { return open(t, url) }
	})
}

func worker() fleet.Facts {
	return fleet.Facts{Worker: route.Worker{Address: "tcp://127.0.0.1:1"}}
}

// TestServerComesBack ends the server, and starts an empty one in its place: followers
// keep the last table meanwhile, and workers register again by themselves.
func TestServerComesBack(t *testing.T) {
	s := start(t, natsserver.Options{})
	addr := s.Addr().String()
	var said atomic.Int64
	m := fleet.Join(open(t, "nats://"+addr), func() fleet.Facts {
		f := worker()
		f.Runs = said.Add(1)
		return f
	}, fleet.JoinOptions{Lease: time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	f, err := fleet.Follow(ctx, open(t, "nats://"+addr), fleet.FollowOptions{})
	require.NoError(t, err)
	defer f.Close()
	require.Eventually(t, func() bool { return len(f.Workers()) == 1 }, patience, time.Millisecond)
	s.Stop()
	require.Eventually(t, f.Lost, patience, time.Millisecond)
	require.Eventually(t, func() bool { ws := f.Workers(); return len(ws) == 1 && ws[0].Stale }, patience, time.Millisecond,
		"the table stays beyond the lease")
	_, err = f.Route(route.NewRandom(1), route.Request{})
	require.NoError(t, err)
	last := said.Load()
	start(t, natsserver.Options{Addr: addr})
	require.Eventually(t, func() bool {
		ws := f.Workers()
		return !f.Lost() && len(ws) == 1 && ws[0].ID == m.ID() && ws[0].Runs > last
	}, patience, time.Millisecond)
	require.NoError(t, m.Leave(ctx))
	require.Eventually(t, func() bool { return len(f.Workers()) == 0 }, patience, time.Millisecond)
}

// TestJoinBeforeTheDirectory starts the worker first.
func TestJoinBeforeTheDirectory(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	m := fleet.Join(open(t, "nats://"+addr), worker, fleet.JoinOptions{Lease: time.Second})
	start(t, natsserver.Options{Addr: addr})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f, err := fleet.Follow(ctx, open(t, "nats://"+addr), fleet.FollowOptions{})
	require.NoError(t, err)
	defer f.Close()
	require.Eventually(t, func() bool { return len(f.Workers()) == 1 }, patience, time.Millisecond)
	require.NoError(t, m.Leave(ctx))
}

func TestUnreachable(t *testing.T) {
	d := open(t, "nats://127.0.0.1:1")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, d.Put(ctx, "a", nil, time.Second), fleet.ErrDirectory)
	_, err := fleet.Follow(ctx, d, fleet.FollowOptions{})
	require.ErrorIs(t, err, fleet.ErrDirectory)
	for _, url := range []string{"nats://h", "http://h:1", "nats://user:secret@h:1", "nats://h:1/x", "", "nats://h:1,ws://h:1"} {
		_, err := natskv.Open(url)
		require.ErrorIs(t, err, fleet.ErrDirectory, url)
		require.NotContains(t, err.Error(), "secret")
	}
}

func put(t *testing.T, d fleet.Directory) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return d.Put(ctx, "a", []byte("1"), time.Second)
}

// certificates writes an authority and a certificate for 127.0.0.1.
func certificates(t *testing.T) (ca, cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "directory"}, NotAfter: time.Now().Add(time.Hour), NotBefore: time.Now().Add(-time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(cert, pemOf("CERTIFICATE", der), 0o600))
	require.NoError(t, os.WriteFile(key, pemOf("PRIVATE KEY", private), 0o600))
	return cert, cert, key
}

// TestTLS holds who may read and write where the server asks for certificates.
func TestTLS(t *testing.T) {
	ca, cert, key := certificates(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	text, err := os.ReadFile(ca)
	require.NoError(t, err)
	require.True(t, pool.AppendCertsFromPEM(text))
	s := start(t, natsserver.Options{TLS: &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}})
	addr := s.Addr().String()
	own := credentials.Client{Files: &credentials.Files{CA: ca, Cert: cert, Key: key}}
	require.NoError(t, put(t, open(t, "nats://"+addr, natskv.WithCredentials(own))))
	for name, c := range map[string]credentials.Client{
		"no certificate":    {Files: &credentials.Files{CA: ca}},
		"unknown authority": {},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		require.ErrorIs(t, open(t, "tls://"+addr, natskv.WithCredentials(c)).Put(ctx, "a", nil, time.Second), fleet.ErrDirectory, name)
		cancel()
	}

	plain := start(t, natsserver.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	err = open(t, "tls://"+plain.Addr().String()).Put(ctx, "a", nil, time.Second)
	require.ErrorContains(t, err, "has no TLS", "encryption is never left out")
}

func TestToken(t *testing.T) {
	s := start(t, natsserver.Options{Token: "right"})
	url := "nats://" + s.Addr().String()
	require.NoError(t, put(t, open(t, url, natskv.WithCredentials(credentials.Client{Token: "right"}))))
	for _, token := range []string{"", "wrong"} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		err := open(t, url, natskv.WithCredentials(credentials.Client{Token: token})).Put(ctx, "a", nil, time.Second)
		require.ErrorIs(t, err, fleet.ErrDirectory)
		cancel()
	}
}

// TestHostileServer has servers that break the protocol's bounds: no memory is taken
// for what they announce, nothing panics, and calls end.
func TestHostileServer(t *testing.T) {
	info := `INFO {"server_id":"x","version":"2.15.0","proto":1,"max_payload":1048576,"headers":true,"jetstream":true}` + "\r\n"
	for name, script := range map[string][]string{
		"silent":            {""},
		"nonsense":          {"HTTP/1.1 400 Bad Request\r\n\r\n"},
		"endless line":      {strings.Repeat("x", 1<<20)},
		"endless INFO":      {"INFO " + strings.Repeat("x", 1<<20)},
		"large message":     {info, "PONG\r\nMSG a 1 9223372036854775807\r\nx"},
		"overflowing size":  {info, "PONG\r\nMSG a 1 99999999999999999999999\r\nx"},
		"large headers":     {info, "PONG\r\nHMSG a 1 4 99999999999\r\nx"},
		"negative size":     {info, "PONG\r\nMSG a 1 -1\r\nx"},
		"no size":           {info, "PONG\r\nMSG\r\nx"},
		"endless arguments": {info, "PONG\r\nMSG " + strings.Repeat("x", 1<<20)},
		"other servers":     {`INFO {"server_id":"x","connect_urls":["192.0.2.1:4222"],"tls_required":true}` + "\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					answer(c, script)
				}
			}()
			d := open(t, "nats://"+l.Addr().String())
			ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
			defer cancel()
			require.ErrorIs(t, d.Put(ctx, "a", nil, time.Second), fleet.ErrDirectory)
			require.NoError(t, d.Close())
			require.NoError(t, l.Close())
			<-done
		})
	}
}

// answer says the first part at once, and each further one after a line PING.
func answer(c net.Conn, script []string) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte(script[0]))
	lines := bufio.NewScanner(c)
	for _, part := range script[1:] {
		for more := true; more; {
			more = lines.Scan() && lines.Text() != "PING"
		}
		_, _ = c.Write([]byte(part))
	}
	for lines.Scan() {
	}
}

// TestServerBounds holds what one client can make the server hold.
func TestServerBounds(t *testing.T) {
	s := start(t, natsserver.Options{Memory: 1 << 20, Connections: 2})
	url := "nats://" + s.Addr().String()
	d := open(t, url, natskv.WithMaxBytes(1<<19))
	var err error
	for i := range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err = d.Put(ctx, fmt.Sprintf("a%d", i), make([]byte, 100<<10), time.Minute)
		cancel()
		if err != nil {
			break
		}
	}
	require.ErrorIs(t, err, fleet.ErrDirectory, "the bucket is full")
	require.NoError(t, put(t, open(t, url)))
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	require.Error(t, open(t, url).Put(ctx, "a", nil, time.Second), "a third connection")
}

func TestServerRefuses(t *testing.T) {
	s := start(t, natsserver.Options{})
	_, err := natsserver.Start(t.Context(), natsserver.Options{Addr: s.Addr().String()})
	require.ErrorContains(t, err, "address already in use")
	_, err = natsserver.Start(t.Context(), natsserver.Options{Addr: "nowhere"})
	require.Error(t, err)
}
