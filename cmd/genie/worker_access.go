package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/genie-sdk/go/internal/access"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/transport/credentials"
)

// accessFlags say which clients may use a worker, and their quotas.
type accessFlags struct {
	files    credentials.Files
	tokens   string
	quotas   []string
	insecure bool
}

func (o *accessFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&o.files.Cert, "tls-cert", "", "PEM file of the worker's certificate, which turns TLS on; reloaded when it changes")
	f.StringVar(&o.files.Key, "tls-key", "", "PEM file of the certificate's key")
	f.StringVar(&o.files.CA, "tls-client-ca", "", "PEM file of authorities; clients must present a certificate that one of them issued")
	f.StringVar(&o.tokens, "tokens", "", "token file, made by 'genie token'; clients must present one of its tokens; reloaded when it changes")
	f.StringArrayVar(&o.quotas, "quota", nil, "quota of an identity, [IDENTITY:]sessions=N,plans=N,calls=N,connections=N,bytes=SIZE; without IDENTITY, the quota of each other identity; may be repeated")
	f.BoolVar(&o.insecure, "insecure", false, "listen without TLS or without authentication on addresses that other machines can reach")
}

// authenticates reports whether clients must authenticate.
func (o *accessFlags) authenticates() bool { return o.tokens != "" || o.files.CA != "" }

// check finds missing and wrong flags before anything is bound.
func (o *accessFlags) check() error {
	if (o.files.Cert == "") != (o.files.Key == "") {
		return usagef("--tls-cert and --tls-key must be given together")
	}
	if o.files.CA != "" && o.files.Cert == "" {
		return usagef("--tls-client-ca needs --tls-cert and --tls-key")
	}
	_, err := parseQuotas(o.quotas)
	return err
}

// apply loads the files of the flags into a server's options.
func (o *accessFlags) apply(opts *worker.Options, log *slog.Logger) error {
	quotas, err := parseQuotas(o.quotas)
	if err != nil {
		return err
	}
	opts.Quota = quotas.of
	if o.files.Cert != "" {
		files := o.files
		files.Log = log
		if opts.TLS, err = files.Server(); err != nil {
			return err
		}
	}
	if o.tokens != "" {
		if opts.Auth, err = access.Open(o.tokens, log, access.NewLimiter(nil)); err != nil {
			return err
		}
	}
	return nil
}

// exposure refuses an address that other machines can reach unless the
// connection is encrypted and the client authenticated, or --insecure is given.
func (o *accessFlags) exposure(l listener, config *tls.Config) (warning string, err error) {
	if !exposed(l.Addr()) {
		return "", nil
	}
	var missing []string
	if config == nil {
		missing = append(missing, "no encryption (--tls-cert, --tls-key)")
	}
	if !o.authenticates() {
		missing = append(missing, "no authentication (--tls-client-ca or --tokens)")
	}
	switch {
	case len(missing) == 0:
		return "", nil
	case !o.insecure:
		return "", fmt.Errorf("%s is reachable from other machines and there is %s; add what is missing, listen on 127.0.0.1, or give --insecure",
			l.url(), strings.Join(missing, " and "))
	}
	return fmt.Sprintf("%s is reachable from other machines, which can use this worker or read its traffic: there is %s",
		l.url(), strings.Join(missing, " and ")), nil
}

// exposed reports whether an address is reachable from other machines.
func exposed(a net.Addr) bool {
	switch a := a.(type) {
	case *net.TCPAddr:
		return !a.IP.IsLoopback()
	case *net.UnixAddr:
		return false
	}
	return true
}

// quotas are the quotas of identities.
type quotas struct {
	others worker.Quota
	by     map[string]worker.Quota
}

func (q quotas) of(identity string) worker.Quota {
	if own, ok := q.by[identity]; ok {
		return own
	}
	return q.others
}

// parseQuotas reads the values of --quota.
func parseQuotas(values []string) (quotas, error) {
	q := quotas{by: map[string]worker.Quota{}}
	for _, v := range values {
		identity, list := "", v
		if i := strings.LastIndexByte(v, ':'); i >= 0 {
			identity, list = v[:i], v[i+1:]
		}
		one, err := parseQuota(list)
		if err != nil {
			return quotas{}, usagef("--quota %q: %w", v, err)
		}
		if identity == "" {
			q.others = one
		} else {
			q.by[identity] = one
		}
	}
	return q, nil
}

func parseQuota(list string) (worker.Quota, error) {
	var q worker.Quota
	fields := map[string]*int64{"sessions": &q.Sessions, "plans": &q.Plans, "calls": &q.Calls, "bytes": &q.Bytes, "connections": &q.Connections}
	for part := range strings.SplitSeq(list, ",") {
		name, text, ok := strings.Cut(part, "=")
		into := fields[name]
		if !ok || into == nil {
			return q, fmt.Errorf("%q is none of sessions=N, plans=N, calls=N, connections=N and bytes=SIZE", part)
		}
		n, err := parseSize(text)
		if err != nil || n < 1 {
			return q, fmt.Errorf("%q is not a number of at least 1, such as 8 or, of bytes, 2GiB", text)
		}
		*into = n
	}
	return q, nil
}

// parseSize reads a number with a unit of bytes or none, such as 512MiB.
func parseSize(text string) (int64, error) {
	digits, shift := text, 0
	for unit, s := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40} {
		if d, ok := strings.CutSuffix(text, unit); ok {
			digits, shift = d, s
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, err //nolint:wrapcheck // the caller says what was read
	}
	if n > math.MaxInt64>>shift {
		return 0, errors.New("too large")
	}
	return n << shift, nil
}
