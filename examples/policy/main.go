// Command policy runs programs under a custom policy and under the default one,
// and shows that the answers are the same but the traffic differs.
//
// A policy is a value with two methods, semantic.Policy: its name, and a pure
// function from the semantic graph and a request to a plan. It decides what
// runs where and which values stay there; it can never change the results.
// genie.WithPolicy takes it. The one here, in policy.go, reads the semantic
// graph (which tensors are weights, which carried pairs are KV caches) and lets
// package semantic write the plan.
//
// Run it on a worker; in this process nothing is transferred:
//
//	go run ./cmd/genie worker --listen tcp://127.0.0.1:7070 &
//	go run ./examples/policy -executor tcp://127.0.0.1:7070
//
// The table goes to standard output, errors to standard error. The exit code is
// 0 for success, 1 for a failure (answers that differ are one) and 2 for a
// mistake in the command line.
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
	"syscall"
	"text/tabwriter"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: the exit code is its result.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("policy", flag.ContinueOnError)
	flags.SetOutput(stderr)
	executor := flags.String("executor", "local:", "where the programs run: local:, tcp://host:port or grpc://host:port")
	model := flags.String("model", "testdata/models/austen", "folder of a GPT-2 checkpoint")
	small := flags.Int64("small-weights", 64<<10, "weights of at most this many bytes in total are sent with each run")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0 || *small < 0:
		fmt.Fprintln(stderr, "policy: there are no arguments, and -small-weights is not negative")
		return 2
	}
	if err := compare(ctx, *executor, *model, Frugal{SmallWeights: *small}, stdout); err != nil {
		fmt.Fprintln(stderr, "policy:", err)
		return 1
	}
	return 0
}

// compare runs each program under both policies.
func compare(ctx context.Context, executor, model string, frugal Frugal, stdout io.Writer) error {
	programs, closePrograms, err := load(ctx, model)
	if err != nil {
		return err
	}
	defer closePrograms()
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "program\tpolicy\tweights stay\tstate stays\tweights sent\tall sent\treceived")
	for _, p := range programs {
		srg, err := semantic.Analyze(p.graph)
		if err != nil {
			return err
		}
		decided, err := frugal.Decide(srg)
		if err != nil {
			return err
		}
		var answers [][]float32
		for _, policy := range []semantic.Policy{semantic.Full(), frugal} {
			answer, moved, err := measure(ctx, executor, policy, p)
			if err != nil {
				return fmt.Errorf("%s under %s: %w", p.name, policy.Name(), err)
			}
			answers = append(answers, answer)
			d := decided
			if policy.Name() != frugal.Name() {
				d.KeepWeights, d.KeepState = true, true
			}
			fmt.Fprintf(table, "%s\t%s\t%v\t%v\t%d\t%d\t%d\n", p.name, policy.Name(), d.KeepWeights, d.KeepState && d.Carried > 0,
				moved.Sent.Map()["weights"], moved.Sent.Total(), moved.Received.Total())
		}
		if !slices.Equal(answers[0], answers[1]) {
			return fmt.Errorf("%s: the answers differ: %v and %v", p.name, answers[0], answers[1])
		}
	}
	return table.Flush()
}

// measure runs a program in a separate client, and returns the answer and the
// bytes transferred.
func measure(ctx context.Context, executor string, policy semantic.Policy, p program) (answer []float32, moved transport.Snapshot, err error) {
	client, err := genie.Open(ctx, executor, genie.WithPolicy(policy))
	if err != nil {
		return nil, moved, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	session, err := client.NewSession(ctx)
	if err != nil {
		return nil, moved, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	answer, err = p.run(ctx, session)
	return answer, client.Ledger(), err
}
