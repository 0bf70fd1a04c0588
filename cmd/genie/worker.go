package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/models"
	"github.com/genie-sdk/go/internal/worker"
)

type workerOptions struct {
	listen    []string
	models    string
	hashes    string
	devices   host.Devices
	device    string
	missing   string
	threads   int
	cpus      string
	maxBatch  int
	portions  bool
	queue     int
	running   int
	int8      bool
	stepFLOPs float64
	stopOnEOF bool
	shared    string // memory with clients of this machine
	lease     time.Duration
	json      bool
	memory    memoryOptions
	access    accessFlags
	peers     peerFlags
	drain     time.Duration
	watch     watchOptions
	join      joinFlags
}

// The values of --shared-memory.
const (
	sharedAuto = "auto"
	sharedOff  = "off"
)

func (a *app) workerCommand() *cobra.Command {
	o := workerOptions{devices: a.devices}
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Serve tensor programs over TCP and gRPC",
		Long: `worker serves clients until SIGTERM or Ctrl-C. It prints one line
"listening URL" for each address; port 0 takes a free port.

An address that other machines can reach needs encryption (--tls-cert, --tls-key)
and authentication (--tls-client-ca or --tokens). Without both, the worker
refuses to listen on it unless --insecure is given.

On SIGTERM it stops taking requests and gives running requests --drain-timeout to
finish. It ends the others with an error that tells their clients to retry
elsewhere, and exits with 0, or with 3 if it had to end any. A second signal ends
it at once.`,
		Example: "  genie worker --listen tcp://127.0.0.1:7070 --listen grpc://127.0.0.1:7071 --models ./models",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.memory.check(cmd.Flags()); err != nil {
				return err
			}
			return a.worker(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.listen, "listen", []string{"tcp://127.0.0.1:7070"}, "address to serve, tcp://host:port or grpc://host:port; may be repeated")
	f.StringVar(&o.models, "models", "", "folder of checkpoints; clients do not upload weights that are found there by name and content")
	hashesFlag(f, &o.hashes)
	f.StringVar(&o.device, "device", host.CPU, "what computes: "+a.devices.Names())
	f.StringVar(&o.missing, "missing-operators", string(host.MissingOnCPU), "what is done with a plan that has operators which the device lacks: cpu runs them on the CPU of this worker and logs which, refuse refuses the plan and names the step")
	f.IntVar(&o.threads, "threads", 0, "compute threads; 0 means one per CPU, or GOMAXPROCS if it is set")
	f.StringVar(&o.cpus, "cpus", "", "processors that the worker runs on, such as 0,2-3, which is also the number of compute threads unless --threads is given; Linux only (default: all)")
	f.BoolVar(&o.portions, "prefill-portions", false, "run long prefills in portions that ride in dynamic batches of decode steps: sessions that decode wait less for them, and their first token comes later; the bits are the same")
	f.IntVar(&o.maxBatch, "max-batch", engine.DefaultMaxBatch, "maximum size of a dynamic batch: sequences of different sessions that share one pass over the weights; 1 disables batching")
	f.IntVar(&o.queue, "max-queue", worker.DefaultMaxQueue, "maximum number of runs, and of plans to prepare, that wait in the queue, over all sessions; more are refused as overload")
	f.IntVar(&o.running, "max-running", 0, "maximum number of concurrent runs; half as many plans are prepared at once; 0 means one run per compute thread")
	f.BoolVar(&o.int8, "int8-weights", false, "store weight matrices in 8 bits: faster, but results differ by the rounding of the weights")
	f.Float64Var(&o.stepFLOPs, "max-step-flops", 0, "maximum floating-point operations of one step of a run, such as 1e12; a run with a larger step is refused before it begins; 0 means no limit")
	o.memory.flags(f)
	f.DurationVar(&o.lease, "lease", 30*time.Second, "how long a session outlives a lost connection, counted from the last message of its client")
	f.StringVar(&o.shared, "shared-memory", sharedAuto, "how large payloads of clients on this machine travel: auto shares memory with those of the worker's own user, off leaves them on the socket")
	f.BoolVar(&o.stopOnEOF, "stop-on-eof", false, "also stop when standard input ends, that is, with the program that holds its other end")
	o.access.flags(f)
	o.peers.flags(f)
	f.BoolVar(&o.json, "json", false, `print {"listening": URL, "pid": N} lines`)
	f.DurationVar(&o.drain, "drain-timeout", 30*time.Second, "how long running requests may take to finish after a signal to stop")
	o.watch.flags(f)
	o.join.flags(f)
	return cmd
}

// check finds inconsistent flags.
func (o *workerOptions) check() error {
	if err := o.devices.Find(o.device); host.IsNameError(err) {
		return usagef("--device: %w", err)
	} else if err != nil {
		return err
	}
	switch {
	case o.missing != string(host.MissingOnCPU) && o.missing != string(host.MissingRefused):
		return usagef("--missing-operators is %q; there is %s, %s", o.missing, host.MissingOnCPU, host.MissingRefused)
	case o.threads < 0:
		return usagef("--threads is %d", o.threads)
	case o.maxBatch < 1:
		return usagef("--max-batch is %d", o.maxBatch)
	case o.lease <= 0:
		return usagef("--lease is %v", o.lease)
	case o.queue < 1 || o.running < 0:
		return usagef("--max-queue is %d, --max-running is %d", o.queue, o.running)
	case !(o.stepFLOPs >= 0):
		return usagef("--max-step-flops is %v", o.stepFLOPs)
	case o.shared != sharedAuto && o.shared != sharedOff:
		return usagef("--shared-memory is %q; there is %s, %s", o.shared, sharedAuto, sharedOff)
	case o.drain < 0:
		return usagef("--drain-timeout is %v", o.drain)
	}
	if err := o.access.check(); err != nil {
		return err
	}
	if err := o.peers.check(); err != nil {
		return err
	}
	if o.cpus != "" {
		if _, err := parseCPUs(o.cpus); err != nil {
			return err
		}
	}
	if o.watch.encrypted && o.access.files.Cert == "" {
		return usagef("--metrics-tls needs --tls-cert and --tls-key")
	}
	o.join.advertise = o.peers.advertise
	if err := o.join.check(); err != nil {
		return err
	}
	return o.watch.check()
}

// worker serves until ctx ends, which is not an error.
func (a *app) worker(ctx context.Context, o workerOptions) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	listeners, err := listenAll(ctx, o.listen)
	if err != nil {
		return err
	}
	defer closeAll(listeners)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer endAnyway(ctx, o.join.moving()+o.drain+lastResort, a.giveUp)() // whatever the shutdown waits for
	if o.stopOnEOF {
		go a.atEOF(cancel)
	}
	log := o.watch.logger(a)
	opts := worker.Options{Log: log, Lease: o.lease, MaxQueue: o.queue, NoSharedMemory: o.shared == sharedOff}
	warnings, err := o.admitted(&opts, listeners)
	if err != nil {
		return err
	}
	watch, err := o.watch.startWatch(ctx, log, opts.TLS)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, watch.stop()) }()
	tracer, stopTracing, err := a.tracing(ctx, o.watch.otlp, "genie-worker")
	if err != nil {
		return err
	}
	defer stopTracing()
	opts.Tracer = tracer
	closeStores, err := o.openStores(ctx, &opts)
	if err != nil {
		return err
	}
	defer closeStores()
	stopPeers, err := o.peers.open(&opts, log, tracer)
	if err != nil {
		return err
	}
	defer stopPeers()
	if err := o.pins(); err != nil {
		return err
	}
	threads, restore := o.spareProcessor()
	defer restore()
	opts.MaxRunning = o.running
	e, stopEngine, err := o.engine(threads, log)
	if err != nil {
		return err
	}
	defer stopEngine()
	opts.Engine = worker.ForEngine(e)
	if err := a.announceAll(listeners, warnings, o.json); err != nil {
		return err
	}
	s := worker.New(opts)
	if err := errors.Join(watch.serves(s), watch.announce(a, o.json)); err != nil {
		return err
	}
	return o.joinAndServe(ctx, newDescribed(s, e, &o, threads, watch.url), listeners, log)
}

func closeAll(listeners []listener) {
	for _, l := range listeners {
		_ = l.Close()
	}
}

// atEOF calls stop when standard input has ended.
func (a *app) atEOF(stop func()) {
	_, _ = io.Copy(io.Discard, a.stdin)
	stop()
}

func (a *app) announceAll(listeners []listener, warnings []string, asJSON bool) error {
	for i, l := range listeners {
		if err := a.announce(l, warnings[i], asJSON); err != nil {
			return err
		}
	}
	return nil
}

// joinAndServe serves as a member of the fleet, if there is one.
func (o *workerOptions) joinAndServe(ctx context.Context, w *described, listeners []listener, log *slog.Logger) error {
	j, err := o.join.start(ctx, w, listeners, log)
	if err != nil {
		return err
	}
	defer j.leave()
	return serve(ctx, w.server, listeners, o.drain, j.drain)
}

// engine makes the worker's engine with its limits. The process's heap keeps
// within the memory budget until stop, which closes the engine.
func (o *workerOptions) engine(threads int, log *slog.Logger) (e *engine.Engine, stop func(), err error) {
	limits := engine.Options{Threads: threads, Int8Weights: o.int8, MaxBatch: o.maxBatch, Portions: o.portions, MaxStepFLOPs: o.stepFLOPs}
	if limits.Device, err = o.devices.Open(o.device, host.Missing(o.missing), log); err != nil {
		return nil, nil, err
	}
	o.memory.engine(&limits)
	if e, err = host.Open(limits); err != nil {
		return nil, nil, err
	}
	free := e.Memory().Govern()
	return e, func() { free(); _ = e.Close() }, nil
}

// admitted sets which clients may connect, and returns the warnings about each
// listener.
func (o *workerOptions) admitted(opts *worker.Options, listeners []listener) (warnings []string, err error) {
	if err := o.access.apply(opts, opts.Log); err != nil {
		return nil, err
	}
	warnings = make([]string, len(listeners))
	for i, l := range listeners {
		if warnings[i], err = o.access.exposure(l, opts.TLS); err != nil {
			return nil, err
		}
	}
	return warnings, nil
}

// openStores opens the sources of weights: the model folder and the cache.
func (o *workerOptions) openStores(ctx context.Context, opts *worker.Options) (closeAll func(), err error) {
	var closers []func()
	closeAll = func() {
		for _, c := range closers {
			c()
		}
	}
	if o.models != "" {
		folder, err := models.Open(ctx, o.models, checkpoint.Options{Logger: opts.Log, Hashes: o.hashes})
		if err != nil {
			return closeAll, err
		}
		closers = append(closers, func() { _ = folder.Close() })
		opts.Weights = folder
	}
	cache, err := o.memory.openCache()
	if err != nil {
		closeAll()
		return closeAll, err
	}
	if cache != nil {
		closers = append(closers, func() { _ = cache.Close() })
		opts.Cache = cache
	}
	return closeAll, nil
}

// announce prints the line of a listener, and the warning about an exposed one.
func (a *app) announce(l listener, warning string, asJSON bool) error {
	if warning != "" {
		_, _ = fmt.Fprintln(a.stderr, "genie: warning:", warning)
	}
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(map[string]any{"listening": l.url(), "pid": os.Getpid()})
	}
	return a.printf("listening %s\n", l.url())
}

// serve serves all listeners until ctx ends or one fails. It then lets sessions move to
// other workers, and drains the running requests.
func serve(ctx context.Context, s *worker.Server, listeners []listener, drain time.Duration, move func()) error {
	failed := make(chan error, len(listeners))
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() {
			accept := s.Serve
			if l.scheme == "grpc" {
				accept = s.ServeGRPC
			}
			if err := accept(l); err != nil {
				failed <- fmt.Errorf("serve %s: %w", l.url(), err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
		move()
	case err = <-failed:
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err = errors.Join(err, s.Shutdown(grace))
	serving.Wait()
	return err
}

// listener is a bound address and its protocol.
type listener struct {
	net.Listener
	scheme string
}

func (l listener) url() string { return l.scheme + "://" + l.Addr().String() }

// listenAll binds all addresses, or none.
func listenAll(ctx context.Context, urls []string) ([]listener, error) {
	for _, u := range urls {
		if _, _, err := parseListen(u); err != nil {
			return nil, err
		}
	}
	var out []listener
	for _, u := range urls {
		scheme, addr, err := parseListen(u)
		if err != nil {
			return nil, err
		}
		var config net.ListenConfig
		l, err := config.Listen(ctx, "tcp", addr)
		if err != nil {
			for _, other := range out {
				_ = other.Close()
			}
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, fmt.Errorf("%s: the port is in use by another program; use another one, or 0 for a free one", u)
			}
			return nil, fmt.Errorf("%s: %w", u, err)
		}
		out = append(out, listener{l, scheme})
	}
	return out, nil
}

// parseListen parses a URL of --listen.
func parseListen(text string) (scheme, addr string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "tcp" && u.Scheme != "grpc" || u.Port() == "" ||
		u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", "", usagef("--listen %q is not tcp://host:port or grpc://host:port", text)
	}
	return u.Scheme, u.Host, nil
}
