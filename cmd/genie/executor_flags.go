package main

import (
	"crypto/tls"
	"log/slog"
	"os"

	"github.com/spf13/pflag"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/transport/credentials"
)

// The token comes from the environment, because all users of the machine can
// read the arguments of a process.
const (
	tokenEnv     = "GENIE_TOKEN"
	tokenFileEnv = "GENIE_TOKEN_FILE"
)

// tlsFlags are the client's requirements for a worker's certificate, and the
// client's own.
type tlsFlags struct {
	tls   bool
	files credentials.Files
}

// flags adds the flags; target is the name of the worker's address in help
// texts.
func (o *tlsFlags) flags(f *pflag.FlagSet, target string) {
	f.BoolVar(&o.tls, "tls", false, "encrypt the connection to the worker; implied by the other --tls flags")
	f.StringVar(&o.files.CA, "tls-ca", "", "PEM file of the authorities that may issue the worker's certificate (default: the system's)")
	f.StringVar(&o.files.Cert, "tls-cert", "", "PEM file of this client's certificate, for a worker that requires one")
	f.StringVar(&o.files.Key, "tls-key", "", "PEM file of the certificate's key")
	f.StringVar(&o.files.ServerName, "tls-server-name", "", "name in the worker's certificate, if it is not the host of "+target)
}

// given reports whether the flags ask for TLS.
func (o *tlsFlags) given() bool { return o.tls || o.files != (credentials.Files{}) }

func (o *tlsFlags) check() error {
	if (o.files.Cert == "") != (o.files.Key == "") {
		return usagef("--tls-cert and --tls-key must be given together")
	}
	return nil
}

// config loads the files and returns a function that returns the configuration
// for the next connection.
func (o *tlsFlags) config() (func() *tls.Config, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	return o.files.Client()
}

// secureFlags are what a client requires from a worker and presents to it.
type secureFlags struct {
	tlsFlags
	tokenFile string
	insecure  bool
	directory directoryFlags
}

func (o *secureFlags) flags(f *pflag.FlagSet, target string) {
	o.tlsFlags.flags(f, target)
	f.StringVar(&o.tokenFile, "token-file", "", "file of this client's token (default: the file that "+tokenFileEnv+" names, or the token in "+tokenEnv+")")
	f.BoolVar(&o.insecure, "insecure", false, "send the token over the network without TLS")
	o.directory.flags(f)
}

// credentials are the flags as credentials of an executor.
func (o *secureFlags) credentials() (credentials.Client, error) {
	if err := o.check(); err != nil {
		return credentials.Client{}, err
	}
	c := credentials.Client{TokenFile: o.tokenFile, Insecure: o.insecure}
	if o.given() {
		files := o.files
		c.Files = &files
	}
	if c.TokenFile == "" {
		c.Token = os.Getenv(tokenEnv)
	}
	if c.TokenFile == "" && c.Token == "" {
		c.TokenFile = os.Getenv(tokenFileEnv)
	}
	return c, nil
}

// options are the flags as options of a client.
func (o *secureFlags) options() ([]genie.Option, error) {
	c, err := o.credentials()
	if err != nil {
		return nil, err
	}
	out := []genie.Option{genie.WithDirectory(func(url string) (fleet.Directory, error) {
		return o.directory.open(url, slog.New(slog.DiscardHandler))
	})}
	if c.Files != nil {
		out = append(out, genie.WithTLSFiles(*c.Files))
	}
	switch {
	case c.TokenFile != "":
		out = append(out, genie.WithTokenFile(c.TokenFile))
	case c.Token != "":
		out = append(out, genie.WithToken(c.Token))
	}
	if c.Insecure {
		out = append(out, genie.WithInsecureToken())
	}
	return out, nil
}
