// Package measure changes how a client works in order to measure what that costs,
// and counts what a measurement has to know. It is for benchmarks and tests: the
// results of a program are the same, and nobody else needs it.
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

// Policy is a policy whose client works in another way. It is for one client.
type Policy struct {
	semantic.Policy
	// InTurn sends prefill and loop one after the other, and asks for one plan
	// after the other, instead of all in one round trip.
	InTurn bool
	// Resend sends the plan again with every run, though the worker has it, and so
	// makes no loops: what an executor costs that remembers no plans.
	Resend bool

	side atomic.Pointer[transport.Executor]
}

// InTurn is a policy whose requests wait for each other.
func InTurn(p semantic.Policy) *Policy { return &Policy{Policy: p, InTurn: true} }

// UseSide tells the policy of the executor that runs what is left to the client.
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

// Resender is a session that can send a prepared plan again, which costs what it
// costs and changes nothing. Sessions of an executor without a wire have no such
// method.
type Resender interface {
	Resend(ctx context.Context, ref transport.PlanRef) error
}
