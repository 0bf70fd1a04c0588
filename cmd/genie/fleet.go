package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/internal/natsserver"
	"github.com/genie-sdk/go/transport/credentials"
)

type fleetOptions struct {
	listen    string
	memory    byteSize
	clients   int
	tokenFile string
	files     credentials.Files
	insecure  bool
	json      bool
	logLevel  slog.Level
}

func (a *app) fleetCommand() *cobra.Command {
	o := fleetOptions{memory: 128 << 20}
	cmd := &cobra.Command{
		Use:   "fleet",
		Short: "Serve the directory of a fleet, and look at its workers",
		Long: `fleet serves a directory, in which workers say that they are there (genie worker
--join) and clients find them (--executor nats://host:port), until SIGTERM or
Ctrl-C. It is a NATS server of one node, whose JetStream is in memory; what it
loses the workers say again. While it is gone, clients continue with the workers
that they know. A NATS cluster of your own (2.11 or later) does as well.

An address that other machines can reach needs encryption (--tls-cert, --tls-key)
and authentication (--tls-client-ca or --token-file). Without both, it refuses to
listen on it unless --insecure is given: who can write to the directory can send
clients elsewhere.`,
		Example: "  genie fleet --listen nats://127.0.0.1:4222\n  genie worker --join nats://127.0.0.1:4222\n  genie fleet status nats://127.0.0.1:4222",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.fleet(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "nats://127.0.0.1:4222", "address to serve, nats://host:port; port 0 takes a free port")
	f.Var(&o.memory, "memory", "most memory that entries take")
	f.IntVar(&o.clients, "max-clients", 4096, "most connections of workers and clients")
	f.StringVar(&o.tokenFile, "token-file", "", "file of the token that workers and clients must present")
	f.StringVar(&o.files.Cert, "tls-cert", "", "PEM file of the directory's certificate, which turns TLS on")
	f.StringVar(&o.files.Key, "tls-key", "", "PEM file of the certificate's key")
	f.StringVar(&o.files.CA, "tls-client-ca", "", "PEM file of authorities; workers and clients must present a certificate that one of them issued")
	f.BoolVar(&o.insecure, "insecure", false, "listen without TLS or without authentication on addresses that other machines can reach")
	f.BoolVar(&o.json, "json", false, `print a {"listening": URL, "pid": N} line`)
	f.TextVar(&o.logLevel, "log-level", slog.LevelWarn, "minimum log level: debug, info, warn or error")
	cmd.AddCommand(a.fleetStatusCommand(), a.fleetSimulateCommand())
	return cmd
}

// fleet serves a directory until ctx ends, which is not an error.
func (a *app) fleet(ctx context.Context, o fleetOptions) error {
	u, err := url.Parse(o.listen)
	if err != nil || u.Scheme != "nats" || u.Port() == "" || u.Path != "" || u.User != nil || u.RawQuery != "" {
		return usagef("--listen %q is not nats://host:port", o.listen)
	}
	opts, err := o.server(slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: o.logLevel})))
	if err != nil {
		return err
	}
	opts.Addr = u.Host
	warning, err := o.exposure(ctx, u.Host)
	if err != nil {
		return err
	}
	begin, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := natsserver.Start(begin, opts)
	if err != nil {
		return err
	}
	defer s.Stop()
	if warning != "" {
		_, _ = fmt.Fprintln(a.stderr, "genie: warning:", warning)
	}
	at := "nats://" + s.Addr().String()
	if o.json {
		err = json.NewEncoder(a.stdout).Encode(map[string]any{"listening": at, "pid": os.Getpid()})
	} else {
		err = a.printf("listening %s\n", at)
	}
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// server are the flags as options of a server.
func (o *fleetOptions) server(log *slog.Logger) (natsserver.Options, error) {
	opts := natsserver.Options{Memory: int64(o.memory), Connections: o.clients, Log: log}
	if o.clients < 1 || o.memory < 1<<20 {
		return opts, usagef("--max-clients is %d, --memory is %s", o.clients, &o.memory)
	}
	if (o.files.Cert == "") != (o.files.Key == "") || o.files.CA != "" && o.files.Cert == "" {
		return opts, usagef("--tls-cert and --tls-key must be given together, and with --tls-client-ca")
	}
	var err error
	if o.tokenFile != "" {
		if opts.Token, err = credentials.ReadToken(o.tokenFile); err != nil {
			return opts, err
		}
	}
	if o.files.Cert != "" {
		files := o.files
		files.Log = log
		opts.TLS, err = files.Server()
	}
	return opts, err
}

// exposure refuses an address that other machines can reach unless the connection is
// encrypted and the client authenticated, or --insecure is given.
func (o *fleetOptions) exposure(ctx context.Context, host string) (warning string, err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", host) // what the name stands for
	if err != nil {
		return "", fmt.Errorf("--listen %s: %w", o.listen, err)
	}
	at := l.Addr()
	if err := l.Close(); err != nil {
		return "", err
	}
	if !exposed(at) || o.files.Cert != "" && (o.files.CA != "" || o.tokenFile != "") {
		return "", nil
	}
	const missing = "is reachable from other machines and has no encryption (--tls-cert, --tls-key) or no authentication (--tls-client-ca or --token-file)"
	if !o.insecure {
		return "", fmt.Errorf("%s %s; add what is missing, listen on 127.0.0.1, or give --insecure", o.listen, missing)
	}
	return o.listen + " " + missing + ": who reaches it can send clients to workers of their own", nil
}
