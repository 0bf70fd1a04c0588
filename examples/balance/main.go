// Command balance is a third-party executor: it spreads sessions over several
// workers, and counts the work of each.
//
// An executor implements transport.Executor and transport.Session, and needs
// only the packages transport and transport/plan. This one, in balancer.go and
// session.go, wraps others; one that computes by itself has the same methods.
// It shows the duties of an executor:
//
//   - a session stays where it was opened, with its plans, state and retained
//     values, so the choice is made once, in NewSession;
//   - a session may be able to loop by itself (transport.Looper, LoopOpener); a
//     wrapper has these methods exactly if the wrapped session has them;
//   - errors pass through unchanged, so that errors.Is finds their causes;
//   - the ledger and the statistics are sums;
//   - it never computes anywhere else than it claims: it avoids an unreachable
//     worker while another one is reachable, and returns an error when none is.
//
// main_test.go runs package transport/conformance on it, in this process and
// over real workers. genie.NewClient accepts it like any other executor.
//
// Run it:
//
//	go run ./examples/balance -executors local:,local:
//	go run ./examples/balance -executors tcp://127.0.0.1:7070,grpc://127.0.0.1:7071 -sessions 32
//
// The table of workers goes to standard output, errors to standard error. The
// exit code is 0 for success, 1 for a failure and 2 for a mistake in the
// command line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: the exit code is its result.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("balance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	list := flags.String("executors", "local:,local:", "executors, separated by commas: local:, tcp://host:port, grpc://host:port")
	sessions := flags.Int("sessions", 8, "number of sessions that run at the same time")
	runs := flags.Int("runs", 10, "number of runs of each session")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0 || *sessions < 1 || *runs < 1:
		fmt.Fprintln(stderr, "balance: there are no arguments, and -sessions and -runs are 1 or more")
		return 2
	}
	if err := balance(ctx, strings.Split(*list, ","), *sessions, *runs, stdout); err != nil {
		fmt.Fprintln(stderr, "balance:", err)
		return 1
	}
	return 0
}

// balance runs a program in many sessions and shows what each executor did.
func balance(ctx context.Context, urls []string, sessions, runs int, stdout io.Writer) (err error) {
	b, err := open(ctx, urls)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	client := genie.NewClient(b)
	defer client.Close()

	// All sessions are open before the first one runs and closes, so that each
	// worker gets its part.
	opened := make([]*genie.Session, sessions)
	for i := range opened {
		if opened[i], err = client.NewSession(ctx); err != nil {
			return err
		}
		defer opened[i].Close()
	}
	y := program()
	results, errs := make([][]float32, sessions), make([]error, sessions)
	var all sync.WaitGroup
	for i, session := range opened {
		all.Go(func() { results[i], errs[i] = accumulate(ctx, session, y, runs) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i, r := range results {
		if !slices.Equal(r, results[0]) {
			return fmt.Errorf("session %d gave %v, session 0 %v", i, r, results[0])
		}
	}
	return show(stdout, urls, b)
}

// open connects to each executor.
func open(ctx context.Context, urls []string) (*Balancer, error) {
	var backends []transport.Executor
	for _, url := range urls {
		ex, err := dial(ctx, url)
		if err != nil {
			for _, opened := range backends {
				err = errors.Join(err, opened.Close())
			}
			return nil, err
		}
		backends = append(backends, ex)
	}
	return New(backends...), nil
}

func dial(ctx context.Context, url string) (transport.Executor, error) {
	switch scheme, address, _ := strings.Cut(url, "://"); scheme {
	case "local:":
		return local.Open()
	case "tcp":
		return tcp.Dial(ctx, address)
	case "grpc":
		return rpc.Dial(ctx, address)
	default:
		return nil, fmt.Errorf("%q is not an executor: want local:, tcp://host:port or grpc://host:port", url)
	}
}

// program is a small network with carried state, so that a session which moved
// would return other numbers.
func program() *lazy.Tensor {
	g := lazy.NewGraph("accumulator")
	x := g.Input("x", lazy.F32, "rows", 2)
	h := g.Input("h", lazy.F32, "rows", 2)
	w := g.WeightF32("w", []float32{.5, -.25, .75, .1}, 2, 2)
	y := g.Output("y", lazy.Tanh(lazy.Add(lazy.MatMul(x, w), h)))
	g.Carry(h, y)
	return y
}

// accumulate runs a session several times and returns the last result.
func accumulate(ctx context.Context, s *genie.Session, y *lazy.Tensor, runs int) ([]float32, error) {
	var last []float32
	for range runs {
		out, err := s.Run(ctx, genie.Feed{"x": genie.Float32s([]float32{.1, .2, .3, .4}, 2, 2)}, y)
		if err != nil {
			return nil, err
		}
		if last, err = out[0].Float32s(ctx); err != nil {
			return nil, err
		}
	}
	return last, nil
}

// show writes a line for each executor.
func show(stdout io.Writer, urls []string, b *Balancer) error {
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "executor\tsessions\tprepared\truns\tloops\tfailed\ttime in runs")
	for i, c := range b.Counts() {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%v\n", urls[i], c.Sessions, c.Prepared, c.Runs, c.Loops, c.Failed, c.Time)
	}
	return table.Flush()
}
