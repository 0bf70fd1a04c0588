package genie

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
)

// Client runs programs on one executor. It is safe for concurrent use.
type Client struct {
	exec  transport.Executor
	opts  options
	owned bool // exec is closed with the client

	mu     sync.Mutex
	side   transport.Executor // runs what a policy leaves to the client
	graphs map[*lazy.Graph]*program
	wide   map[plan.Hash][]byte // weights in half precision, widened
}

// Open connects to an executor: "local:" is this process, "tcp://host:port"
// and "grpc://host:port" are workers. ctx bounds the connecting only. An
// unreachable worker is [ErrUnreachable], with the address and the reason.
func Open(ctx context.Context, executor string, opts ...Option) (*Client, error) {
	o := options{policy: semantic.Full(), logger: slog.New(slog.DiscardHandler)}
	for _, f := range opts {
		f.apply(&o)
	}
	exec, err := dial(ctx, executor, o)
	if err != nil {
		return nil, err
	}
	c := newClient(exec, o)
	c.owned = true
	return c, nil
}

// NewClient makes a client of an executor that the caller made, owns and
// closes: one of a third party, say.
func NewClient(exec transport.Executor, opts ...Option) *Client {
	o := options{policy: semantic.Full(), logger: slog.New(slog.DiscardHandler)}
	for _, f := range opts {
		f.apply(&o)
	}
	return newClient(exec, o)
}

func newClient(exec transport.Executor, o options) *Client {
	return &Client{exec: exec, opts: o, graphs: map[*lazy.Graph]*program{}}
}

func dial(ctx context.Context, executor string, o options) (transport.Executor, error) {
	u, err := url.Parse(executor)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	switch {
	case u.Scheme == "local" && u.Host == "" && u.Opaque == "" && u.Path == "":
		return local.Open(local.WithThreads(o.threads))
	case (u.Scheme == "tcp" || u.Scheme == "grpc") && (u.Port() == "" || u.Path != "" || u.RawQuery != "" || u.User != nil):
		return nil, fmt.Errorf("%w: %q, want %s://host:port", ErrURL, executor, u.Scheme)
	case u.Scheme == "tcp":
		opts := []tcp.Option{tcp.WithLogger(o.logger), tcp.WithTracer(o.tracer)}
		if o.dial != nil {
			opts = append(opts, tcp.WithDialer(o.dial))
		}
		return tcp.Dial(ctx, u.Host, opts...)
	case u.Scheme == "grpc":
		opts := []rpc.Option{rpc.WithLogger(o.logger), rpc.WithTracer(o.tracer)}
		if o.dial != nil {
			opts = append(opts, rpc.WithDialer(o.dial))
		}
		return rpc.Dial(ctx, u.Host, opts...)
	}
	return nil, fmt.Errorf("%w: %q, want local:, tcp://host:port or grpc://host:port", ErrURL, executor)
}

// Close closes all sessions and the connection.
func (c *Client) Close() error {
	c.mu.Lock()
	side := c.side
	c.side = nil
	c.mu.Unlock()
	var err error
	if side != nil {
		err = side.Close()
	}
	if c.owned {
		if e := c.exec.Close(); e != nil {
			err = e
		}
	}
	return err
}

// Executor is the executor that the client uses.
func (c *Client) Executor() transport.Executor { return c.exec }

// Ledger is the bytes moved so far, by cause and direction.
func (c *Client) Ledger() transport.Snapshot { return c.exec.Ledger().Snapshot() }

// Stats asks the executor what it has done.
func (c *Client) Stats(ctx context.Context) (transport.Stats, error) { return c.exec.Stats(ctx) }

// Analyze gives the semantically rich graph of a program, computed once.
func (c *Client) Analyze(g *lazy.Graph) (*semantic.SRG, error) {
	p, err := c.program(g)
	if err != nil {
		return nil, err
	}
	return p.srg, nil
}

func (c *Client) program(g *lazy.Graph) (*program, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.graphs[g]; ok {
		return p, nil
	}
	srg, err := semantic.Analyze(g, c.opts.hints...)
	if err != nil {
		return nil, err
	}
	p := newProgram(g, srg)
	c.graphs[g] = p
	return p, nil
}

// sideExecutor is an engine in this process for what a policy leaves to the
// client, such as sampling under the blind policy.
func (c *Client) sideExecutor() (transport.Executor, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.side == nil {
		e, err := local.Open(local.WithThreads(1))
		if err != nil {
			return nil, err
		}
		c.side = e
	}
	return c.side, nil
}

// SideOps is the number of operators that this process executed because the
// policy left them to the client: none under semantic.Full.
func (c *Client) SideOps() int64 {
	c.mu.Lock()
	side := c.side
	c.mu.Unlock()
	if side == nil {
		return 0
	}
	st, err := side.Stats(context.Background())
	if err != nil {
		return 0
	}
	return st.Ops
}
