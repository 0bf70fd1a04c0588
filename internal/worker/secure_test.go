package worker_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/credentials"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
)

// securely dials a worker in both ways.
var securely = map[string]func(ctx context.Context, w *workertest.Worker, c credentials.Client) (transport.Executor, error){
	"tcp": func(ctx context.Context, w *workertest.Worker, c credentials.Client) (transport.Executor, error) {
		return tcp.Dial(ctx, w.TCP, tcp.WithCredentials(c))
	},
	"grpc": func(ctx context.Context, w *workertest.Worker, c credentials.Client) (transport.Executor, error) {
		return rpc.Dial(ctx, w.GRPC, rpc.WithCredentials(c))
	},
}

// eachWay runs a test over both transports.
func eachWay(t *testing.T, f func(t *testing.T, way string, dial func(*workertest.Worker, credentials.Client) (transport.Executor, error))) {
	t.Helper()
	for way, d := range securely {
		t.Run(way, func(t *testing.T) {
			f(t, way, func(w *workertest.Worker, c credentials.Client) (transport.Executor, error) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				return d(ctx, w, c)
			})
		})
	}
}

// encrypted starts a worker with a certificate of ca's; it asks clients for
// theirs if mutual.
func encrypted(t *testing.T, ca *workertest.CA, mutual bool, change func(*x509.Certificate)) *workertest.Worker {
	t.Helper()
	f := ca.Issue("worker", change)
	if !mutual {
		f.CA = ""
	}
	return workertest.Start(t, func(o *worker.Options) {
		var err error
		o.TLS, err = f.Server()
		require.NoError(t, err)
	})
}

// runs opens a session and runs the counter.
func runs(t *testing.T, ex transport.Executor) {
	t.Helper()
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	p, weights := counter()
	ref, err := s.Prepare(t.Context(), p, weights, nil)
	require.NoError(t, err)
	res, err := s.Run(t.Context(), transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 1)}}})
	require.NoError(t, err)
	require.Equal(t, floats(100, 201), res.Outputs[0].Tensor.Data)
	require.NoError(t, s.Close())
}

func expired(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }

// TestHandshakes tries every pair of ends that must and must not meet.
func TestHandshakes(t *testing.T) {
	ca, other := workertest.NewCA(t), workertest.NewCA(t)
	alice := ca.Issue("alice", nil)
	authority := credentials.Files{CA: ca.File}
	with := func(f credentials.Files) credentials.Client { return credentials.Client{Files: &f} }
	for _, tt := range []struct {
		name   string
		worker func(t *testing.T) *workertest.Worker
		client credentials.Client
		want   error // nil: it works
		says   string
	}{
		{"TLS", func(t *testing.T) *workertest.Worker { return encrypted(t, ca, false, nil) }, with(authority), nil, ""},
		{"mutual TLS", func(t *testing.T) *workertest.Worker { return encrypted(t, ca, true, nil) }, with(alice), nil, ""},
		{
			"another name that is asked for",
			func(t *testing.T) *workertest.Worker {
				return encrypted(t, ca, false, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"worker.example"}, nil })
			},
			with(credentials.Files{CA: ca.File, ServerName: "worker.example"}), nil, "",
		},
		{
			"expired worker", func(t *testing.T) *workertest.Worker { return encrypted(t, ca, false, expired) },
			with(authority), transport.ErrUnauthenticated, "expired",
		},
		{
			"worker of an unknown authority", func(t *testing.T) *workertest.Worker { return encrypted(t, other, false, nil) },
			with(authority), transport.ErrUnauthenticated, "unknown authority",
		},
		{
			"authorities of the system", func(t *testing.T) *workertest.Worker { return encrypted(t, ca, false, nil) },
			with(credentials.Files{}), transport.ErrUnauthenticated, "unknown authority",
		},
		{
			"wrong name",
			func(t *testing.T) *workertest.Worker {
				return encrypted(t, ca, false, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"worker.example"}, nil })
			},
			with(authority), transport.ErrUnauthenticated, "127.0.0.1",
		},
		{
			"no client certificate", func(t *testing.T) *workertest.Worker { return encrypted(t, ca, true, nil) },
			with(authority), transport.ErrUnauthenticated, "requires a client certificate",
		},
		{
			"expired client", func(t *testing.T) *workertest.Worker { return encrypted(t, ca, true, nil) },
			with(ca.Issue("late", expired)), transport.ErrUnauthenticated, "does not accept this client's certificate",
		},
		{
			"client of an unknown authority", func(t *testing.T) *workertest.Worker { return encrypted(t, ca, true, nil) },
			with(credentials.Files{Cert: other.Issue("mallory", nil).Cert, Key: other.Issue("mallory", nil).Key, CA: ca.File}),
			transport.ErrUnauthenticated, "does not accept this client's certificate",
		},
		{
			"plain client", func(t *testing.T) *workertest.Worker { return encrypted(t, ca, false, nil) },
			credentials.Client{},
			transport.ErrProtocol, "speaks TLS",
		},
		{
			"plain worker", func(t *testing.T) *workertest.Worker { return workertest.Start(t, nil) },
			with(authority), transport.ErrProtocol, "does not speak TLS",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := tt.worker(t)
			eachWay(t, func(t *testing.T, _ string, dial func(*workertest.Worker, credentials.Client) (transport.Executor, error)) {
				ex, err := dial(w, tt.client)
				if tt.want == nil {
					require.NoError(t, err)
					defer func() { _ = ex.Close() }()
					runs(t, ex)
					return
				}
				require.ErrorIs(t, err, tt.want)
				require.ErrorContains(t, err, tt.says)
				require.ErrorContains(t, err, "127.0.0.1:", "the address that was dialled")
			})
		})
	}
}

// TestOldTLS offers no more than TLS 1.2.
func TestOldTLS(t *testing.T) {
	ca := workertest.NewCA(t)
	w := encrypted(t, ca, false, nil)
	for _, addr := range []string{w.TCP, w.GRPC} {
		c, err := tls.Dial("tcp", addr, &tls.Config{MaxVersion: tls.VersionTLS12, InsecureSkipVerify: true})
		require.ErrorContains(t, err, "protocol version")
		require.Nil(t, c)
		c, err = tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		require.NoError(t, err)
		require.EqualValues(t, tls.VersionTLS13, c.ConnectionState().Version)
		require.NoError(t, c.Close())
	}
}

// TestWrongTLSDoors speaks the other protocol of the two inside TLS.
func TestWrongTLSDoors(t *testing.T) {
	ca := workertest.NewCA(t)
	w := encrypted(t, ca, false, nil)
	crossed := &workertest.Worker{TCP: w.GRPC, GRPC: w.TCP}
	eachWay(t, func(t *testing.T, _ string, dial func(*workertest.Worker, credentials.Client) (transport.Executor, error)) {
		_, err := dial(crossed, credentials.Client{Files: &credentials.Files{CA: ca.File}})
		require.ErrorIs(t, err, transport.ErrProtocol)
		require.ErrorContains(t, err, "no application protocol")
	})
	res, err := http.Get("http://" + w.TCP)
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, res.StatusCode)
	require.NoError(t, res.Body.Close())
}

// TestReload changes the files of a running worker: certificate and key, and
// the authorities of clients. Broken files change nothing and are logged;
// existing connections stay.
func TestReload(t *testing.T) {
	eachWay(t, func(t *testing.T, _ string, dial func(*workertest.Worker, credentials.Client) (transport.Executor, error)) {
		first, second := workertest.NewCA(t), workertest.NewCA(t)
		var log logged
		f := first.Issue("worker", nil)
		f.Log = log.logger()
		w := workertest.Start(t, func(o *worker.Options) {
			var err error
			o.TLS, err = f.Server()
			require.NoError(t, err)
		})
		old := first.Issue("alice", nil)
		ex, err := dial(w, credentials.Client{Files: &old})
		require.NoError(t, err)
		defer func() { _ = ex.Close() }()

		// The certificate alone, without its key, cannot be used.
		key, err := os.ReadFile(f.Key)
		require.NoError(t, err)
		second.IssueTo(f, "worker", nil)
		good, err := os.ReadFile(f.Key)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(f.Key, key, 0o600))
		again, err := dial(w, credentials.Client{Files: &old})
		require.NoError(t, err, "what was there before is used further")
		require.NoError(t, again.Close())
		require.Contains(t, log.String(), "cannot be used")

		require.NoError(t, os.WriteFile(f.Key, good, 0o600))
		_, err = dial(w, credentials.Client{Files: &old})
		require.ErrorIs(t, err, transport.ErrUnauthenticated)
		renewed := old
		renewed.CA = second.File
		again, err = dial(w, credentials.Client{Files: &renewed})
		require.NoError(t, err)
		require.NoError(t, again.Close())

		// Clients of another authority, from now on.
		text, err := os.ReadFile(second.File)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(f.CA, text, 0o600))
		_, err = dial(w, credentials.Client{Files: &renewed})
		require.ErrorIs(t, err, transport.ErrUnauthenticated)
		bob := second.Issue("bob", nil)
		again, err = dial(w, credentials.Client{Files: &bob})
		require.NoError(t, err)
		require.NoError(t, again.Close())
		runs(t, ex)
	})
}

// TestClientReload changes the files of a client between two connections.
func TestClientReload(t *testing.T) {
	ca := workertest.NewCA(t)
	f := ca.Issue("alice", nil)
	load, err := f.Client()
	require.NoError(t, err)
	serial := func() string {
		pair := load().Certificates[0]
		return pair.Leaf.SerialNumber.String()
	}
	before := serial()
	ca.IssueTo(f, "alice", nil)
	require.NotEqual(t, before, serial())
	before = serial()
	require.NoError(t, os.Remove(f.Key))
	require.Equal(t, before, serial())
}

// TestSubjects names clients by their certificates.
func TestSubjects(t *testing.T) {
	ca := workertest.NewCA(t)
	for want, change := range map[string]func(*x509.Certificate){
		"CN=alice,O=team": func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "alice", Organization: []string{"team"}} },
		"DNS=alice.example": func(c *x509.Certificate) {
			c.Subject, c.DNSNames = pkix.Name{}, []string{"alice.example"}
		},
	} {
		eachWay(t, func(t *testing.T, _ string, dial func(*workertest.Worker, credentials.Client) (transport.Executor, error)) {
			asked := make(chan string, 1)
			f := ca.Issue("worker", nil)
			w := workertest.Start(t, func(o *worker.Options) {
				var err error
				o.TLS, err = f.Server()
				require.NoError(t, err)
				o.Quota = func(identity string) worker.Quota {
					asked <- identity
					return worker.Quota{}
				}
			})
			alice := ca.Issue("alice", change)
			ex, err := dial(w, credentials.Client{Files: &alice})
			require.NoError(t, err)
			require.Equal(t, want, <-asked)
			require.NoError(t, ex.Close())
		})
	}
}

// TestSilentHandshakes opens connections that never finish TLS: they end by
// themselves, and delay no other client.
func TestSilentHandshakes(t *testing.T) {
	ca := workertest.NewCA(t)
	w := encrypted(t, ca, false, nil)
	for _, addr := range []string{w.TCP, w.GRPC} {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		_, err = fmt.Fprint(c, "\x16\x03\x01")
		require.NoError(t, err)
	}
	eachWay(t, func(t *testing.T, _ string, dial func(*workertest.Worker, credentials.Client) (transport.Executor, error)) {
		ex, err := dial(w, credentials.Client{Files: &credentials.Files{CA: ca.File}})
		require.NoError(t, err)
		require.NoError(t, ex.Close())
	})
}

func TestFilesRefuses(t *testing.T) {
	ca := workertest.NewCA(t)
	good := ca.Issue("worker", nil)
	other := ca.Issue("other", nil)
	junk := good.Cert + ".junk"
	require.NoError(t, os.WriteFile(junk, []byte("-----BEGIN"), 0o600))
	for name, tt := range map[string]struct {
		files credentials.Files
		says  string
	}{
		"nothing":      {credentials.Files{}, "needs a certificate"},
		"no key":       {credentials.Files{Cert: good.Cert}, "key"},
		"no such file": {credentials.Files{Cert: "/nowhere/cert.pem", Key: good.Key}, "/nowhere/cert.pem"},
		"another key":  {credentials.Files{Cert: good.Cert, Key: other.Key}, "private key does not match"},
		"junk":         {credentials.Files{Cert: junk, Key: good.Key}, "junk"},
		"no authority": {credentials.Files{Cert: good.Cert, Key: good.Key, CA: junk}, "no certificate in"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tt.files.Server()
			require.ErrorContains(t, err, tt.says)
			require.True(t, strings.HasPrefix(err.Error(), "genie:"), err)
			if tt.files.Cert != "" {
				_, err = tt.files.Client()
				require.ErrorContains(t, err, tt.says)
			}
		})
	}
}
