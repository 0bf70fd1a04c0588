package genie

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/genie-sdk/go/transport"
)

// maxAddresses bounds the list of executors of one client.
const maxAddresses = 64

// workers are the executors that a client may use, one at a time: when the
// current one is lost, sessions are opened on the next that can be reached.
type workers struct {
	urls  []string // empty for an executor that the caller made
	opts  options
	fleet *members // nil unless a directory says which executors there are

	mu     sync.Mutex
	closed bool
	at     int                  // the current one
	execs  []transport.Executor // nil until needed
}

// openWorkers connects to the first of a list of executors, separated by commas,
// that can be reached.
func openWorkers(ctx context.Context, list string, o options) (*workers, error) {
	if isDirectory(list) {
		f, err := openFleet(ctx, list, o)
		if err != nil {
			return nil, err
		}
		return &workers{opts: o, fleet: f}, nil
	}
	w := &workers{urls: strings.Split(list, ","), opts: o}
	if len(w.urls) > maxAddresses {
		return nil, fmt.Errorf("%w: %d executors, at most %d", ErrURL, len(w.urls), maxAddresses)
	}
	for i, u := range w.urls {
		if err := checkURL(u); err != nil {
			return nil, err
		}
		if u == "local:" && i > 0 || u != "local:" && w.urls[0] == "local:" {
			return nil, fmt.Errorf("%w: %q: local: is an executor of its own", ErrURL, list)
		}
	}
	if len(w.urls) > 1 {
		w.opts.reconnect /= time.Duration(len(w.urls))
	}
	w.execs = make([]transport.Executor, len(w.urls))
	var failed []error
	for i, u := range w.urls {
		exec, err := dial(ctx, u, w.opts)
		if err == nil {
			w.at, w.execs[i] = i, exec
			return w, nil
		}
		if failed = append(failed, err); !errors.Is(err, ErrUnreachable) {
			break
		}
	}
	return nil, errors.Join(failed...)
}

// current is the current executor.
func (w *workers) current() transport.Executor {
	if w.fleet != nil {
		return w.fleet.current()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.execs[w.at]
}

// several reports whether there is another executor to switch to.
func (w *workers) several() bool { return w.fleet != nil || len(w.execs) > 1 }

// session opens a session on the current executor or, if that cannot be
// reached, on another one.
func (w *workers) session(ctx context.Context) (transport.Session, error) {
	if !w.several() || !w.opts.recovery {
		return w.current().NewSession(ctx)
	}
	// The limit is that of all attempts together, whichever step one is stuck
	// in.
	total := w.opts.reconnect * time.Duration(len(w.execs))
	caller := ctx
	if total > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, total)
		defer cancel()
	}
	wait := &backoff.ExponentialBackOff{
		InitialInterval: 20 * time.Millisecond, RandomizationFactor: .5, Multiplier: 2, MaxInterval: time.Second,
	}
	for {
		failed := make([]error, 0, len(w.execs))
		for range w.execs {
			s, err := w.sessionHere(ctx)
			if err == nil {
				return s, nil
			}
			failed = append(failed, err)
			switch {
			case caller.Err() == nil && ctx.Err() != nil:
				return nil, overTime(total, failed)
			case !errors.Is(err, ErrUnreachable) && !errors.Is(err, ErrDevice) && !leaving(err) || ctx.Err() != nil:
				return nil, errors.Join(failed...)
			}
			w.next()
		}
		if total <= 0 {
			return nil, errors.Join(failed...)
		}
		t := time.NewTimer(wait.NextBackOff())
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			if caller.Err() == nil {
				return nil, overTime(total, failed)
			}
			return nil, errors.Join(append(failed, caller.Err())...)
		}
	}
}

// overTime is the error when no worker could be reached in time.
func overTime(total time.Duration, failed []error) error {
	return fmt.Errorf("%w: no worker (tried for %v): %w", ErrUnreachable, total, errors.Join(failed...))
}

// sessionHere opens a session on the current executor, and dials it if needed.
func (w *workers) sessionHere(ctx context.Context) (transport.Session, error) {
	at, exec := w.inUse()
	if exec == nil {
		var err error
		if exec, err = dial(ctx, w.urls[at], w.opts); err != nil {
			return nil, err
		}
		kept := w.keep(at, exec)
		if kept != exec {
			_ = exec.Close() // without the lock: it says goodbye to a worker
		}
		if exec = kept; exec == nil {
			return nil, fmt.Errorf("%w: client", ErrClosed)
		}
	}
	return exec.NewSession(ctx)
}

// inUse is the current worker and its executor, nil if it has to be dialled.
func (w *workers) inUse() (at int, exec transport.Executor) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at, w.execs[w.at]
}

// keep remembers an executor, unless another caller was faster: it gives the one to
// use, nil when the client is closed.
func (w *workers) keep(at int, exec transport.Executor) transport.Executor {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	if w.execs[at] == nil {
		w.execs[at] = exec
	}
	return w.execs[at]
}

// next switches to the next executor.
func (w *workers) next() {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := (w.at + 1) % len(w.execs)
	w.at = n
}

// ledger is the sum over all executors.
func (w *workers) ledger() transport.Snapshot {
	if w.fleet != nil {
		return w.fleet.ledger()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var sum transport.Snapshot
	for _, x := range w.execs {
		if x != nil {
			sum = sum.Add(x.Ledger().Snapshot())
		}
	}
	return sum
}

func (w *workers) close() error {
	if w.fleet != nil {
		return w.fleet.close()
	}
	w.mu.Lock()
	w.closed = true
	execs := w.execs
	w.mu.Unlock()
	var err error
	for _, x := range execs {
		if x != nil {
			err = errors.Join(err, x.Close())
		}
	}
	return err
}
