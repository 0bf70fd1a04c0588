package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	grpccreds "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/genie-sdk/go/transport/tcp"
)

func (a *app) healthCommand() *cobra.Command {
	var timeout time.Duration
	var secure secureFlags
	cmd := &cobra.Command{
		Use:   "health URL",
		Short: "Check whether a worker is ready",
		Long: `health checks whether a worker takes requests. It exits with 0 if it does, and
with 1 if it does not or cannot be reached. URL is one of

  http://host:port   the worker's --metrics address (https:// with --metrics-tls);
                     checks /readyz, or the path that the URL has
  grpc://host:port   the standard gRPC health service
  tcp://host:port    the handshake; a worker with --tokens requires a token`,
		Example: "  genie health http://127.0.0.1:9090\n  genie health grpc://127.0.0.1:7071\n" +
			"  genie health tcp://worker.example:7070 --tls-ca ca.pem --token-file alice.token",
		Args: oneArg("URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if timeout <= 0 {
				return usagef("--timeout is %v", timeout)
			}
			u, err := url.Parse(args[0])
			if err != nil || u.Host == "" {
				return usagef("%q is not %s", args[0], healthURLs)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			if err := checkHealth(ctx, u, &secure); err != nil {
				return err
			}
			return a.printf("ok\n")
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "how long the worker may take to answer")
	secure.flags(cmd.Flags(), "URL")
	return cmd
}

const healthURLs = "http://host:port, https://host:port, grpc://host:port or tcp://host:port"

// oneArg takes one argument with the given name.
func oneArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("%s takes one %s", cmd.CommandPath(), name)
		}
		return nil
	}
}

// checkHealth is nil when the worker at u is ready.
func checkHealth(ctx context.Context, u *url.URL, secure *secureFlags) error {
	if u.Scheme != "tcp" && (secure.tokenFile != "" || secure.insecure) {
		return usagef("%s takes no token; --token-file and --insecure are for tcp://host:port", u)
	}
	switch u.Scheme {
	case "http", "https":
		if strings.Trim(u.Path, "/") == "" {
			u.Path = "/readyz"
		}
		client, err := secure.httpClient(u)
		if err != nil {
			return err
		}
		_, err = get(ctx, client, u.String(), 4<<10)
		return err
	case "grpc":
		return grpcHealth(ctx, u.Host, &secure.tlsFlags)
	case "tcp":
		c, err := secure.credentials()
		if err != nil {
			return err
		}
		ex, err := tcp.Dial(ctx, u.Host, tcp.WithCredentials(c))
		if err != nil {
			return err
		}
		return ex.Close()
	}
	return usagef("%q is not %s", u, healthURLs)
}

func grpcHealth(ctx context.Context, addr string, secure *tlsFlags) error {
	creds := insecure.NewCredentials()
	if secure.given() {
		config, err := secure.config()
		if err != nil {
			return err
		}
		creds = grpccreds.NewTLS(config())
	} else if err := secure.check(); err != nil {
		return err
	}
	c, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(creds), grpc.WithNoProxy())
	if err != nil {
		return err
	}
	defer c.Close()
	r, err := healthpb.NewHealthClient(c).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return fmt.Errorf("grpc://%s: %w", addr, err)
	}
	if r.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("grpc://%s: %v", addr, r.GetStatus())
	}
	return nil
}

// httpClient is a client for u without a proxy, like all connections to a
// worker. TLS files are read again for each connection.
func (o *tlsFlags) httpClient(u *url.URL) (*http.Client, error) {
	t := &http.Transport{}
	if u.Scheme != "https" {
		if o.given() {
			return nil, usagef("%s is not encrypted; with a --tls flag it is https://%s", u, u.Host)
		}
		return &http.Client{Transport: t}, nil
	}
	load, err := o.config()
	if err != nil {
		return nil, err
	}
	t.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		config := load()
		if config.ServerName == "" {
			config.ServerName = u.Hostname()
		}
		d := tls.Dialer{Config: config}
		return d.DialContext(ctx, network, addr)
	}
	return &http.Client{Transport: t}, nil
}

var errTooLong = errors.New("the answer is too long")

// get reads the content of a URL, at most limit bytes.
func get(ctx context.Context, client *http.Client, url string, limit int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", url, err)
	case int64(len(b)) > limit:
		return nil, fmt.Errorf("%s: %w", url, errTooLong)
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %s: %s", url, answer.Status, strings.TrimSpace(string(b[:min(len(b), 200)])))
	}
	return b, nil
}
