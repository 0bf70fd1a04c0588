// Command serve is a service around a language model: HTTP in front, the model
// in this process or on a worker, and a graceful shutdown.
//
// It shows what a service needs:
//
//   - the model is loaded and prepared before the service reports that it is ready;
//   - every request has its own session, so requests run concurrently and the
//     engine batches their steps;
//   - at most -max-running requests run; further ones are answered with 503 and
//     Retry-After at once instead of queueing without bound;
//   - a client that disconnects, or a request older than -timeout, ends its
//     generation on the worker too: its context is the request's;
//   - SIGTERM or SIGINT drains: readiness fails, new requests are refused, running
//     ones finish, for at most -drain. The exit code is 0 if all finished.
//
// Run it from the root of the repository:
//
//	go run ./examples/serve -listen 127.0.0.1:8080
//	curl -d '{"prompt": "It is a truth", "max_new": 20}' http://127.0.0.1:8080/generate
//
// and with the model on a worker:
//
//	go run ./cmd/genie worker --listen tcp://127.0.0.1:7070 &
//	go run ./examples/serve -executor tcp://127.0.0.1:7070
//
// GET /healthz reports that the process is alive, GET /readyz that it accepts
// requests. The program prints one line, "listening ADDRESS", on standard
// output; logs go to standard error. The exit code is 1 for a failure and 2 for
// a mistake in the command line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// grace is the time that requests get to report that they were cut short.
const grace = time.Second

type options struct {
	listen, executor, model string
	running, longest        int
	timeout, drain          time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once: the first removes the handler.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program until ctx ends: the exit code is its result.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address to listen on; port 0 takes a free one")
	flags.StringVar(&o.executor, "executor", "local:", "where the model runs: local:, tcp://host:port or grpc://host:port")
	flags.StringVar(&o.model, "model", "testdata/models/austen", "folder of a GPT-2 checkpoint with a tokenizer")
	flags.IntVar(&o.running, "max-running", 16, "largest number of requests at a time")
	flags.IntVar(&o.longest, "max-new", 256, "largest number of tokens of a request")
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "longest time of a request")
	flags.DurationVar(&o.drain, "drain", 30*time.Second, "longest time that requests get to finish after SIGTERM")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0 || o.running < 1 || o.longest < 1 || o.timeout <= 0 || o.drain < 0:
		fmt.Fprintln(stderr, "serve: there are no arguments, and limits are positive")
		return 2
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	if err := serve(ctx, o, stdout, log); err != nil {
		log.Error("serve failed", "error", err)
		return 1
	}
	return 0
}

// serve runs the service until ctx ends, and drains it.
func serve(ctx context.Context, o options, stdout io.Writer, log *slog.Logger) (err error) {
	model, err := gpt2.Load(ctx, o.model, gpt2.LoadOptions{Logger: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	if model.Tokenizer == nil {
		return fmt.Errorf("%s: the service needs a tokenizer: %w", o.model, model.TokenizerErr)
	}
	client, err := genie.Open(ctx, o.executor, genie.WithLogger(log), genie.WithRetryOverloaded())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()

	s := newService(client, model, o, log)
	if err := s.warm(ctx); err != nil {
		return fmt.Errorf("the first text: %w", err)
	}

	// Requests are not children of ctx: they finish after it has ended.
	requests, cancelRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelRequests()
	server := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		WriteTimeout: o.timeout + 30*time.Second, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return requests },
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, "listening", listener.Addr())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	select {
	case err := <-served: // it can no longer accept connections
		return err
	case <-ctx.Done():
	}
	return s.shutdown(server, o.drain, cancelRequests)
}

// shutdown lets requests finish for at most drain, then cancels the rest.
func (s *service) shutdown(server *http.Server, drain time.Duration, cancelRequests context.CancelFunc) error {
	s.draining.Store(true)
	s.log.Info("draining", "running", len(s.places), "at_most", drain)
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	err := server.Shutdown(ctx)
	if err == nil {
		s.log.Info("drained")
		return nil
	}
	left := len(s.places)
	cancelRequests() // every generation stops within 50 ms
	last, cancelLast := context.WithTimeout(context.Background(), grace)
	defer cancelLast()
	cut := fmt.Errorf("%d requests were cut short after %v: %w", left, drain, err)
	if server.Shutdown(last) != nil {
		return errors.Join(cut, server.Close()) // clients that neither send nor read
	}
	return cut
}
