package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/genie-sdk/go/transport/tcp"
)

func (a *app) healthCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "health URL",
		Short: "Ask a worker whether it is ready",
		Long: `health asks a worker whether it takes requests, and exits with 0 if it does and
with 1 if it does not or cannot be reached. URL is the address of --metrics
(http://host:port asks /readyz, another path is asked as it is), or one that the
worker serves: grpc://host:port asks the standard health service, and
tcp://host:port says hello.`,
		Example: "  genie health http://127.0.0.1:9090\n  genie health grpc://127.0.0.1:7071",
		Args:    oneArg("URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if timeout <= 0 {
				return usagef("--timeout is %v", timeout)
			}
			u, err := url.Parse(args[0])
			if err != nil || u.Host == "" {
				return usagef("%q is not http://host:port, grpc://host:port or tcp://host:port", args[0])
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			if err := checkHealth(ctx, u); err != nil {
				return err
			}
			return a.printf("ok\n")
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "how long the worker may take to answer")
	return cmd
}

// oneArg takes one argument, which is called name.
func oneArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("%s takes one %s", cmd.CommandPath(), name)
		}
		return nil
	}
}

// checkHealth is nil when the worker at u is ready.
func checkHealth(ctx context.Context, u *url.URL) error {
	switch u.Scheme {
	case "http", "https":
		if strings.Trim(u.Path, "/") == "" {
			u.Path = "/readyz"
		}
		_, err := get(ctx, u.String(), 4<<10)
		return err
	case "grpc":
		return grpcHealth(ctx, u.Host)
	case "tcp":
		ex, err := tcp.Dial(ctx, u.Host)
		if err != nil {
			return err
		}
		return ex.Close()
	}
	return usagef("%q is not http://host:port, grpc://host:port or tcp://host:port", u)
}

func grpcHealth(ctx context.Context, addr string) error {
	c, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
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

var errTooLong = errors.New("the answer is too long")

// get reads what is at a URL, at most limit bytes.
func get(ctx context.Context, url string, limit int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
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
