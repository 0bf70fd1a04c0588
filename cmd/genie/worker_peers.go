package main

import (
	"log/slog"
	"net"
	"net/url"

	"github.com/spf13/pflag"

	"github.com/genie-sdk/go/internal/peers"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/credentials"
)

// peerFlags say to which other workers a worker sends values, and what it presents
// to them.
type peerFlags struct {
	list      []string
	advertise string
	tokenFile string
	tls       bool
	files     credentials.Files
	insecure  bool
}

func (o *peerFlags) flags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.list, "peers", nil, "addresses of the workers to which sessions may send values directly: HOST:PORT, NETWORK/BITS or NETWORK/BITS:PORT; none means that this worker only receives; may be repeated")
	f.StringVar(&o.advertise, "advertise", "", "address at which clients of a fleet and other workers reach this one, tcp://host:port or grpc://host:port (default: for a fleet the first --listen address, which then has to name a host; for workers the one that the client dialled)")
	f.StringVar(&o.tokenFile, "peer-token-file", "", "file of the token that this worker presents to those of --peers")
	f.BoolVar(&o.tls, "peer-tls", false, "encrypt the connections with those of --peers; implied by the other --peer-tls flags")
	f.StringVar(&o.files.CA, "peer-tls-ca", "", "PEM file of the authorities that may issue their certificates (default: the system's)")
	f.StringVar(&o.files.Cert, "peer-tls-cert", "", "PEM file of the certificate that this worker presents to them")
	f.StringVar(&o.files.Key, "peer-tls-key", "", "PEM file of the certificate's key")
	f.StringVar(&o.files.ServerName, "peer-tls-server-name", "", "name in their certificates, if it is not the host of their address")
	f.BoolVar(&o.insecure, "peer-insecure", false, "send the token to those of --peers over the network without TLS")
}

// given reports whether flags need --peers.
func (o *peerFlags) given() bool {
	return o.tokenFile != "" || o.tls || o.files != (credentials.Files{}) || o.insecure
}

// check finds missing and wrong flags before anything is bound.
func (o *peerFlags) check() error {
	list, err := peers.ParseList(o.list)
	switch {
	case err != nil:
		return usagef("--peers: %w", err)
	case list.Empty() && o.given():
		return usagef("the --peer flags need --peers")
	case (o.files.Cert == "") != (o.files.Key == ""):
		return usagef("--peer-tls-cert and --peer-tls-key must be given together")
	}
	if o.advertise == "" {
		return nil
	}
	u, err := url.Parse(o.advertise)
	if err != nil || u.Scheme != "tcp" && u.Scheme != "grpc" || !dialable(u.Host) ||
		o.advertise != u.Scheme+"://"+net.JoinHostPort(u.Hostname(), u.Port()) {
		return usagef("--advertise %q is not tcp://host:port or grpc://host:port", o.advertise)
	}
	return nil
}

// open sets the options of a server. stop is to be called when it is closed.
func (o *peerFlags) open(opts *worker.Options, log *slog.Logger, tracer transport.Tracer) (stop func(), err error) {
	opts.Advertise = o.advertise
	list, err := peers.ParseList(o.list)
	if err != nil || list.Empty() {
		return func() {}, err
	}
	c := credentials.Client{TokenFile: o.tokenFile, Insecure: o.insecure}
	if o.tls || o.files != (credentials.Files{}) {
		files := o.files
		files.Log = log
		if _, err := files.Client(); err != nil {
			return nil, err
		}
		c.Files = &files
	}
	if _, err := c.Secret(); err != nil {
		return nil, err
	}
	p := peers.New(peers.Options{Allow: list, Credentials: c, Log: log, Tracer: tracer, NoSharedMemory: opts.NoSharedMemory})
	opts.Peers = p
	return func() { _ = p.Close() }, nil
}
