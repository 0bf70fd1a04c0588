package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// stuck is an executor whose runs last until their context ends.
type stuck struct {
	transport.Executor

	running, ended chan struct{}
}

func (s stuck) NewSession(ctx context.Context) (transport.Session, error) {
	inner, err := s.Executor.NewSession(ctx)
	return stuckSession{inner, s}, err
}

type stuckSession struct {
	transport.Session

	of stuck
}

func (s stuckSession) Run(ctx context.Context, _ transport.Call) (transport.Result, error) {
	s.of.running <- struct{}{}
	<-ctx.Done()
	s.of.ended <- struct{}{}
	return transport.Result{}, context.Cause(ctx)
}

// TestCancel checks that a generation ends with its request: when the client
// disconnects, and when the request times out.
func TestCancel(t *testing.T) {
	inner, err := local.Open()
	require.NoError(t, err)
	defer inner.Close()
	ex := stuck{inner, make(chan struct{}, 1), make(chan struct{}, 1)}
	m, err := gpt2.Load(t.Context(), model, gpt2.LoadOptions{Hashes: "off"})
	require.NoError(t, err)
	defer m.Close()
	client := genie.NewClient(ex)
	defer client.Close()

	for _, tt := range []struct {
		name    string
		timeout time.Duration
		leave   bool // the client disconnects
		want    int
	}{
		{"client", time.Hour, true, 0},
		{"timeout", 10 * time.Millisecond, false, http.StatusGatewayTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newService(client, m, options{running: 1, longest: 10, timeout: tt.timeout}, slog.New(slog.DiscardHandler))
			server := httptest.NewServer(s.handler())
			defer server.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				<-ex.running
				if tt.leave {
					cancel()
				}
			}()
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/generate", strings.NewReader(`{"prompt": "It", "max_new": 5}`))
			require.NoError(t, err)
			res, err := server.Client().Do(r)
			if tt.leave {
				require.ErrorIs(t, err, context.Canceled)
			} else {
				require.NoError(t, err)
				require.Equal(t, tt.want, res.StatusCode)
				require.NoError(t, res.Body.Close())
			}
			<-ex.ended
		})
	}
}
