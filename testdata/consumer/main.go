// Command consumer is the shape of a service that uses the SDK: a module of
// its own that captures a network with package lazy and runs it on a worker.
//
//	genie worker --listen tcp://127.0.0.1:7070 &
//	go run . -executor tcp://127.0.0.1:7070
//
// A service that reaches its workers over TCP alone builds with the tag
// genie_nogrpc, and links a quarter fewer packages. budget.json says what may be
// linked; the test of it prints what is.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"

	"github.com/genie-sdk/go/genie"
)

func main() {
	executor := flag.String("executor", "tcp://127.0.0.1:7070", "worker: tcp://host:port, grpc://host:port, or local:")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := serve(ctx, *executor, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "consumer:", err)
		stop()
		os.Exit(1)
	}
}

// serve classifies batches of several sizes and compares the scores with plain
// Go.
func serve(ctx context.Context, executor string, out io.Writer) error {
	n := newNetwork(1)
	x, scores, err := n.capture()
	if err != nil {
		return err
	}
	client, err := genie.Open(ctx, executor)
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession(ctx)
	if err != nil {
		return err
	}
	defer session.Close()
	for _, batch := range []int{1, 3, 64} {
		data := make([]float32, batch*features)
		for i := range data {
			data[i] = float32(i%17)/8 - 1
		}
		values, err := session.Run(ctx, genie.Feed{x.Name(): genie.Float32s(data, batch, features)}, scores)
		if err != nil {
			return err
		}
		got, err := values[0].Float32s(ctx)
		if err != nil {
			return err
		}
		worst, err := compare(got, n.forward(data))
		if err != nil {
			return fmt.Errorf("batch of %d: %w", batch, err)
		}
		fmt.Fprintf(out, "batch of %d: %d scores, at most %.1e off\n", batch, len(got), worst)
	}
	moved := client.Ledger()
	fmt.Fprintf(out, "sent %d bytes, %d of them weights; received %d\n", moved.Sent.Total(), moved.Sent.Map()["weights"], moved.Received.Total())
	return nil
}

// compare is the largest difference; one above a rounding's is an error.
func compare(got []float32, want []float64) (worst float64, err error) {
	if len(got) != len(want) {
		return 0, fmt.Errorf("%d scores, want %d", len(got), len(want))
	}
	for i := range want {
		d := math.Abs(float64(got[i]) - want[i])
		if !(d <= 1e-5) {
			return d, fmt.Errorf("score %d is %g, want %g", i, got[i], want[i])
		}
		worst = max(worst, d)
	}
	return worst, nil
}
