// Package worker runs a worker in a program of one's own: one that has operators
// of a user, which the command genie does not.
//
//	table, err := custom.NewTable(double)
//	w, err := worker.Open(worker.Options{Operators: table})
//	l, err := net.Listen("tcp", "127.0.0.1:7411")
//	err = w.ServeTCP(l)
//
// It serves anybody who reaches its listeners unless Options.TLS requires
// certificates. The command has the rest: tokens, quotas, model folders, metrics.
package worker

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/transport/custom"
)

// Options configure a worker. The zero value is ready to use.
type Options struct {
	// Operators are the operators of a user that plans may name; nil for none.
	Operators *custom.Table
	// Threads is the number of goroutines that compute; GOMAXPROCS when 0.
	Threads int
	// MemLimit is the memory budget of weights, state, retained values and scratch
	// in bytes; 0 for no limit.
	MemLimit int64
	// MaxStepFLOPs bounds the arithmetic of each step of a run, a custom
	// operator's as its FLOPs says; 0 for no limit.
	MaxStepFLOPs float64
	// TLS encrypts connections; nil for none.
	TLS *tls.Config
	// NoSharedMemory leaves large payloads of clients on this machine on the
	// socket. Otherwise they go through memory shared with clients of the worker's
	// own user, also where TLS encrypts the connection.
	NoSharedMemory bool
	// Log is the logger; nil discards.
	Log *slog.Logger
}

// Worker executes the plans of its clients.
type Worker struct {
	engine *engine.Engine
	server *worker.Server
}

// Open opens the device and makes a worker.
func Open(o Options) (*Worker, error) {
	e, err := host.Open(engine.Options{Custom: o.Operators, Threads: o.Threads, MemLimit: o.MemLimit, MaxStepFLOPs: o.MaxStepFLOPs})
	if err != nil {
		return nil, err
	}
	return &Worker{e, worker.New(worker.Options{Engine: worker.ForEngine(e), MaxRunning: o.Threads, TLS: o.TLS, Log: o.Log, NoSharedMemory: o.NoSharedMemory})}, nil
}

// ServeTCP accepts connections of package transport/tcp from l, which it closes,
// until the worker is closed, which it reports as nil.
func (w *Worker) ServeTCP(l net.Listener) error { return w.server.Serve(l) }

// ServeGRPC accepts connections of package transport/rpc from l, which it closes,
// until the worker is closed, which it reports as nil.
func (w *Worker) ServeGRPC(l net.Listener) error { return w.server.ServeGRPC(l) }

// Close ends all sessions and frees the memory. Call it once, when serving.
func (w *Worker) Close() error { return errors.Join(w.server.Close(), w.engine.Close()) }
