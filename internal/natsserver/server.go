// Package natsserver runs a NATS server in this process: one node, whose JetStream is
// in memory. It holds a fleet's directory; what it loses the workers say again.
package natsserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Options configure a server.
type Options struct {
	Addr string // host:port; port 0 takes a free one
	TLS  *tls.Config
	// Token is what clients must present; "" for none.
	Token string
	// Memory bounds what JetStream holds, in bytes; 128 MiB when 0.
	Memory int64
	// Connections bounds the clients; 4096 when 0.
	Connections int
	Log         *slog.Logger
}

// maxPayload bounds a message: an entry with its headers.
const maxPayload = 256 << 10

// Server is a running server.
type Server struct {
	ns  *server.Server
	dir string
}

// Start starts a server, and returns when it serves, or when ctx ends.
func Start(ctx context.Context, o Options) (*Server, error) {
	host, port, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return nil, fmt.Errorf("genie: directory: %w", err)
	}
	n, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil, fmt.Errorf("genie: directory: %w", err)
	}
	if n == 0 {
		n = server.RANDOM_PORT
	}
	if o.Memory <= 0 {
		o.Memory = 128 << 20
	}
	if o.Connections <= 0 {
		o.Connections = 4096
	}
	dir, err := os.MkdirTemp("", "genie-directory-") // JetStream wants one, even in memory
	if err != nil {
		return nil, fmt.Errorf("genie: directory: %w", err)
	}
	ns, err := server.NewServer(&server.Options{
		ServerName: "genie", Host: host, Port: n, NoSigs: true, NoSystemAccount: false,
		JetStream: true, JetStreamMaxMemory: o.Memory, JetStreamMaxStore: 1 << 20, StoreDir: dir,
		MaxConn: o.Connections, MaxPayload: maxPayload, MaxPending: 16 << 20, MaxSubs: 64, MaxControlLine: 4 << 10,
		WriteDeadline: 5 * time.Second, PingInterval: 10 * time.Second, MaxPingsOut: 2,
		AuthTimeout: 5, TLSTimeout: 5, TLSConfig: o.TLS, TLS: o.TLS != nil, TLSVerify: o.TLS != nil && o.TLS.ClientAuth == tls.RequireAndVerifyClientCert,
		Authorization: o.Token,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("genie: directory: %w", err), os.RemoveAll(dir))
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	log := logger{o.Log, make(chan string, 1)}
	ns.SetLoggerV2(log, false, false, false)
	s := &Server{ns: ns, dir: dir}
	go ns.Start()
	for !ns.ReadyForConnections(10 * time.Millisecond) {
		select {
		case why := <-log.fatal:
			s.Stop()
			return nil, fmt.Errorf("genie: directory: %s", why)
		case <-ctx.Done():
			s.Stop()
			return nil, fmt.Errorf("genie: directory: it does not serve: %w", context.Cause(ctx))
		default:
		}
	}
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.ns.Addr() }

// Stop ends the server.
func (s *Server) Stop() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
	_ = os.RemoveAll(s.dir)
}

// logger writes the server's lines to a logger of this module.
type logger struct {
	l     *slog.Logger
	fatal chan string // the first line that would have ended a process of its own
}

func line(format string, v []any) string { return strings.TrimSpace(fmt.Sprintf(format, v...)) }

func (g logger) Noticef(format string, v ...any) { g.l.Info(line(format, v)) }
func (g logger) Warnf(format string, v ...any)   { g.l.Warn(line(format, v)) }
func (g logger) Errorf(format string, v ...any)  { g.l.Error(line(format, v)) }
func (g logger) Debugf(format string, v ...any)  { g.l.Debug(line(format, v)) }
func (g logger) Tracef(format string, v ...any)  { g.l.Debug(line(format, v)) }

// Fatalf does not end this process.
func (g logger) Fatalf(format string, v ...any) {
	select {
	case g.fatal <- line(format, v):
	default:
	}
	g.l.Error(line(format, v))
}
