//go:build !genie_nogrpc

package genie

import (
	"context"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/rpc"
)

// dialGRPC connects to a worker over gRPC, which is a third of what a consumer's
// program links of packages: the tag genie_nogrpc leaves it out.
func dialGRPC(ctx context.Context, addr string, reconnect time.Duration, o options) (transport.Executor, error) {
	opts := []rpc.Option{
		rpc.WithLogger(o.logger), rpc.WithTracer(o.tracer), rpc.WithReconnect(reconnect), rpc.WithHeartbeat(o.silence),
		rpc.WithCredentials(o.given),
	}
	if o.dial != nil {
		opts = append(opts, rpc.WithDialer(o.dial))
	}
	if o.sockets {
		opts = append(opts, rpc.WithoutSharedMemory())
	}
	if o.retry {
		opts = append(opts, rpc.WithRetryOverloaded())
	}
	return rpc.Dial(ctx, addr, opts...)
}
