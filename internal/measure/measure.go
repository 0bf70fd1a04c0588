// Package measure changes how a client works in order to measure the cost, and
// counts what a measurement needs. It is for benchmarks and tests only; the
// results of a program are the same.
//
//	p := &measure.Policy{Policy: semantic.Full(), InTurn: true}
//	client, err := genie.Open(ctx, url, genie.WithPolicy(p))
package measure

import (
	"context"
	"sync/atomic"

	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
)

// Policy is a policy that changes how its client works. It is for one client.
type Policy struct {
	semantic.Policy
	// InTurn sends prefill and loop sequentially, and requests plans one at a
	// time, instead of all in one round trip.
	InTurn bool
	// Resend sends the plan again with every run, although the worker has it,
	// and therefore makes no loops: the cost of an executor that does not
	// remember plans.
	Resend bool

	side atomic.Pointer[transport.Executor]
}

// InTurn is a policy whose requests wait for each other.
func InTurn(p semantic.Policy) *Policy { return &Policy{Policy: p, InTurn: true} }

// UseSide gives the policy the executor that runs the client partition.
func (p *Policy) UseSide(e transport.Executor) { p.side.Store(&e) }

// SideOps is the number of operators that the client's process executed because the
// policy left them to the client: none under semantic.Full.
func (p *Policy) SideOps(ctx context.Context) (int64, error) {
	e := p.side.Load()
	if e == nil {
		return 0, nil
	}
	st, err := (*e).Stats(ctx)
	return st.Ops, err
}

// Resender is a session that can send a prepared plan again, which has its cost
// and changes nothing. Sessions of an executor without a wire lack this method.
type Resender interface {
	Resend(ctx context.Context, ref transport.PlanRef) error
}
