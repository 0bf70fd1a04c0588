package main

import (
	"os"

	"github.com/spf13/pflag"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/transport/credentials"
)

// The environment says where a token is: the arguments of a process are there
// for everybody on the machine to read.
const (
	tokenEnv     = "GENIE_TOKEN"
	tokenFileEnv = "GENIE_TOKEN_FILE"
)

// secureFlags are what a client demands of a worker and shows to it.
type secureFlags struct {
	tls       bool
	files     credentials.Files
	tokenFile string
	insecure  bool
}

func (o *secureFlags) flags(f *pflag.FlagSet) {
	f.BoolVar(&o.tls, "tls", false, "encrypt the connection to the worker; the default with another --tls flag")
	f.StringVar(&o.files.CA, "tls-ca", "", "PEM file of the authorities that the worker's certificate has to come from; the system's without it")
	f.StringVar(&o.files.Cert, "tls-cert", "", "PEM file of this client's certificate, for a worker that asks for one")
	f.StringVar(&o.files.Key, "tls-key", "", "PEM file of the certificate's key")
	f.StringVar(&o.files.ServerName, "tls-server-name", "", "name in the worker's certificate, where it is not the host of --executor")
	f.StringVar(&o.tokenFile, "token-file", "", "file of the token that says who this client is; or "+tokenFileEnv+", or the token in "+tokenEnv)
	f.BoolVar(&o.insecure, "insecure", false, "send the token over the network without TLS")
}

// options are the same as options of a client.
func (o *secureFlags) options() ([]genie.Option, error) {
	var out []genie.Option
	files := o.files
	if (files.Cert == "") != (files.Key == "") {
		return nil, usagef("--tls-cert and --tls-key go together")
	}
	if o.tls || files != (credentials.Files{}) {
		out = append(out, genie.WithTLSFiles(files))
	}
	file := o.tokenFile
	token := os.Getenv(tokenEnv)
	if file == "" && token == "" {
		file = os.Getenv(tokenFileEnv)
	}
	switch {
	case file != "":
		out = append(out, genie.WithTokenFile(file))
	case token != "":
		out = append(out, genie.WithToken(token))
	}
	if o.insecure {
		out = append(out, genie.WithInsecureToken())
	}
	return out, nil
}
