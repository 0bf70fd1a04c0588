package main

import (
	"log/slog"
	"strings"

	"github.com/spf13/pflag"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/fleet/natskv"
	"github.com/genie-sdk/go/transport/credentials"
)

// directoryFlags are what a client or a worker presents to a fleet's directory, and
// requires of it. They are apart from those for workers: a worker's token is not the
// directory's business.
type directoryFlags struct {
	bucket    string
	creds     string
	tokenFile string
	files     credentials.Files
	insecure  bool
}

func (o *directoryFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&o.bucket, "directory-bucket", natskv.DefaultBucket, "bucket of the fleet in the directory")
	f.StringVar(&o.creds, "directory-creds", "", "NATS credentials file for the directory")
	f.StringVar(&o.tokenFile, "directory-token-file", "", "file of the token for the directory")
	f.StringVar(&o.files.CA, "directory-tls-ca", "", "PEM file of the authorities that may issue the directory's certificate; turns TLS on, as tls:// does")
	f.StringVar(&o.files.Cert, "directory-tls-cert", "", "PEM file of the certificate to present to the directory")
	f.StringVar(&o.files.Key, "directory-tls-key", "", "PEM file of the certificate's key")
	f.BoolVar(&o.insecure, "directory-insecure", false, "send the token to the directory over the network without TLS")
}

// open opens the directory of a URL: that of a folder, or of NATS servers.
func (o *directoryFlags) open(url string, log *slog.Logger) (fleet.Directory, error) {
	if path, ok := strings.CutPrefix(url, "file://"); ok {
		return fleet.OpenFolder(path)
	}
	if (o.files.Cert == "") != (o.files.Key == "") {
		return nil, usagef("--directory-tls-cert and --directory-tls-key must be given together")
	}
	c := credentials.Client{TokenFile: o.tokenFile, Insecure: o.insecure}
	if o.files != (credentials.Files{}) {
		files := o.files
		c.Files = &files
	}
	return natskv.Open(url, natskv.WithBucket(o.bucket), natskv.WithUserCredentials(o.creds), natskv.WithCredentials(c), natskv.WithLogger(log))
}

// directoryURL reports whether text is the URL of a directory.
func directoryURL(text string) bool {
	for _, scheme := range []string{"nats://", "tls://", "file://"} {
		if strings.HasPrefix(text, scheme) {
			return true
		}
	}
	return false
}
