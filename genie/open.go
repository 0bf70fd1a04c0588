package genie

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/tcp"
)

// Client runs programs on an executor. It is safe for concurrent use. What it knows
// of a graph lives with the graph.
type Client struct {
	workers *workers
	opts    options
	owned   bool // the executors are closed with the client

	programs *perGraph[analysed]
	view     *clusterView // of several workers used together; nil for one at a time

	mu   sync.Mutex
	side transport.Executor // runs the client partition of plans
}

// Open connects to an executor: "local:" is this process, "tcp://host:port"
// and "grpc://host:port" are workers. ctx bounds the connecting only. An
// unreachable worker is [ErrUnreachable], with the address and the reason: at once
// where nobody listens, after the time of [WithReconnect] where the connection is
// cut each time before the worker has said hello. The
// scheme says how frames travel; encryption is an option, [WithTLS] or
// [WithTLSFiles], and is never silently left out.
//
// A program that is built with the tag genie_nogrpc links no gRPC, and opening
// "grpc://host:port" is [ErrURL] there.
//
// Of several workers, separated by commas, the first that can be reached is
// used, and another one when it is lost (see [WithRecovery]). With [WithPlacement]
// all of them are used together.
//
// The URL of a directory, "file:///folder" or one that [WithDirectory] opens, is a
// fleet: each session goes to the worker that suits what it runs, and to another one
// when that is lost or drains. Stats and Executor are then those of the worker that
// was used last.
func Open(ctx context.Context, executor string, opts ...Option) (*Client, error) {
	o := defaults(opts)
	if o.placement != nil && isDirectory(executor) {
		return nil, fmt.Errorf("%w: %q is a directory; a placement is over a list of workers", ErrURL, executor)
	}
	if o.placement != nil && strings.Contains(executor, ",") {
		return openCluster(ctx, executor, o)
	}
	w, err := openWorkers(ctx, executor, o)
	if err != nil {
		return nil, err
	}
	c := newClient(w, o)
	c.owned = true
	return c, nil
}

// NewClient makes a client of an executor that the caller made, for example one
// of a third party. The caller owns the executor and closes it.
func NewClient(exec transport.Executor, opts ...Option) *Client {
	o := defaults(opts)
	return newClient(&workers{opts: o, execs: []transport.Executor{exec}}, o)
}

func newClient(w *workers, o options) *Client {
	c := &Client{workers: w, opts: o, programs: &perGraph[analysed]{}}
	runtime.AddCleanup(c, (*perGraph[analysed]).done, c.programs) // of one that is dropped without Close
	return c
}

// checkURL finds the error in an executor's URL.
func checkURL(executor string) error {
	u, err := url.Parse(executor)
	host, port, bare := hostPort(executor)
	switch {
	case bare:
		return fmt.Errorf("%w: %q has no scheme; did you mean tcp://%s or grpc://%s?", ErrURL, executor, net.JoinHostPort(host, port), net.JoinHostPort(host, port))
	case err != nil:
		return fmt.Errorf("%w: %w", ErrURL, err)
	case u.Scheme == "local" && u.Host == "" && u.Opaque == "" && u.Path == "":
		return nil
	case u.Scheme != "tcp" && u.Scheme != "grpc":
		return fmt.Errorf("%w: %q, want local:, tcp://host:port or grpc://host:port", ErrURL, executor)
	case u.Port() == "" || u.Path != "" || u.RawQuery != "" || u.User != nil:
		return fmt.Errorf("%w: %q, want %s://host:port", ErrURL, executor, u.Scheme)
	}
	return nil
}

// hostPort reports whether text is an address without a scheme.
func hostPort(text string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(text)
	if err != nil || strings.Contains(host, "/") {
		return "", "", false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return host, port, err == nil
}

func dial(ctx context.Context, executor string, o options) (transport.Executor, error) {
	if err := checkURL(executor); err != nil {
		return nil, err
	}
	u, err := url.Parse(executor)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	reconnect := o.reconnect
	if !o.recovery {
		reconnect = 0
	}
	switch u.Scheme {
	case "local":
		return local.Open(local.WithThreads(o.threads))
	case "tcp":
		opts := []tcp.Option{
			tcp.WithLogger(o.logger), tcp.WithTracer(o.tracer), tcp.WithReconnect(reconnect), tcp.WithHeartbeat(o.silence),
			tcp.WithCredentials(o.given),
		}
		if o.dial != nil {
			opts = append(opts, tcp.WithDialer(o.dial))
		}
		if o.sockets {
			opts = append(opts, tcp.WithoutSharedMemory())
		}
		if o.retry {
			opts = append(opts, tcp.WithRetryOverloaded())
		}
		return tcp.Dial(ctx, u.Host, opts...)
	default:
		return dialGRPC(ctx, u.Host, reconnect, o)
	}
}

// Close closes all sessions and the connection; calls that are under way are
// cancelled and return [ErrClosed]. An executor that was given to [NewClient] stays
// open, with its sessions: it is the caller's to close.
func (c *Client) Close() error {
	c.mu.Lock()
	side := c.side
	c.side = nil
	c.mu.Unlock()
	c.programs.done()
	var err error
	if side != nil {
		err = side.Close()
	}
	if c.owned {
		if e := c.workers.close(); e != nil {
			err = e
		}
	}
	return err
}

// Executor is the executor that the client currently uses.
func (c *Client) Executor() transport.Executor { return c.workers.current() }

// Ledger is the bytes moved so far, by cause and direction.
func (c *Client) Ledger() transport.Snapshot { return c.workers.ledger() }

// Stats is the activity of the executor so far.
func (c *Client) Stats(ctx context.Context) (transport.Stats, error) {
	return c.workers.current().Stats(ctx)
}

// Analyze returns the semantically rich graph of a program. It is computed
// once, and again after the program has grown.
func (c *Client) Analyze(g *lazy.Graph) (*semantic.SRG, error) {
	p, err := c.program(context.Background(), g)
	if err != nil {
		return nil, err
	}
	return p.srg, nil
}

// sideExecutor is an engine in this process for the client partition of plans,
// such as sampling under the blind policy.
func (c *Client) sideExecutor() (transport.Executor, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.side == nil {
		e, err := local.Open(local.WithThreads(1))
		if err != nil {
			return nil, err
		}
		c.side = e
		if m := c.opts.measured; m != nil {
			m.UseSide(e)
		}
	}
	return c.side, nil
}
