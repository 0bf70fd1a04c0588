package tcp_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/tcp"
)

// A worker that cannot be reached is an error that says which and why; nothing
// falls back to this process.
func ExampleDial() {
	ex, err := tcp.Dial(context.Background(), "127.0.0.1:1")
	if err != nil {
		fmt.Println(errors.Is(err, transport.ErrUnreachable))
		return
	}
	defer func() { _ = ex.Close() }()
	// Output: true
}
