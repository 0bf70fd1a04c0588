//go:build genie_nogrpc

package genie

import (
	"context"
	"fmt"
	"time"

	"github.com/genie-sdk/go/transport"
)

// dialGRPC refuses: a program built without gRPC falls back to nothing.
func dialGRPC(_ context.Context, addr string, _ time.Duration, _ options) (transport.Executor, error) {
	return nil, fmt.Errorf("%w: grpc://%s: this program was built without gRPC (tag genie_nogrpc); tcp://host:port reaches the same workers", ErrURL, addr)
}
