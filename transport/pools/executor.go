package pools

import (
	"context"
	"errors"

	"github.com/genie-sdk/go/transport"
)

// Executor is an executor whose sessions prefill in the pool. Its ledger and
// statistics are those of the given one, which decodes; closing it closes both.
func (p *Pool) Executor(decode transport.Executor) transport.Executor { return &executor{p, decode} }

type executor struct {
	p      *Pool
	decode transport.Executor
}

// NewSession implements [transport.Executor].
func (e *executor) NewSession(ctx context.Context) (transport.Session, error) {
	s, err := e.decode.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	return e.p.Session(s), nil
}

// Ledger implements [transport.Executor].
func (e *executor) Ledger() *transport.Ledger { return e.decode.Ledger() }

// Stats implements [transport.Executor].
func (e *executor) Stats(ctx context.Context) (transport.Stats, error) { return e.decode.Stats(ctx) }

// Close implements [transport.Executor].
func (e *executor) Close() error { return errors.Join(e.decode.Close(), e.p.Close()) }
