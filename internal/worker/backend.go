package worker

import (
	"context"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/tickets"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// WeightStore takes the weights of programs.
type WeightStore interface {
	// Missing lists the ids of the missing weights, one of each layout.
	Missing(p Program) []int
	// Fits reports whether there is room for the missing weights, and for the
	// content of which absent is true.
	Fits(p Program, absent func(plan.Hash) bool) error
	PutWeight(p Program, v plan.Value) (WeightWriter, error)
	// WeightMemory is the memory that PutWeight would take.
	WeightMemory(p Program, v plan.Value) (int64, error)
	WeightForm(p Program, v plan.Value) (engine.WeightKey, error)
	// KeepTags makes the engine store a tag of each arriving weight, see
	// [transport.PossessionTag].
	KeepTags(nonce transport.PossessionKey)
	// PossessionTag is the tag of value id, nil when the weight is not in the
	// engine.
	PossessionTag(p Program, id int) *transport.PossessionTag
}

// Engine runs plans; [ForEngine] adapts package engine.
type Engine interface {
	WeightStore
	Epoch() uint64
	Stats() transport.Stats
	Program(h plan.Hash) (Program, bool)
	// Compile makes a program of a decoded plan with the hash h; see
	// [engine.Engine.CompileHashed].
	Compile(ctx context.Context, p *plan.Plan, h plan.Hash, pause func(ctx context.Context) error) (Program, error)
	Memory() *budget.Budget
	// Ready is nil while the engine's device is open, see [engine.Engine.Ready].
	Ready() (givenUp bool, err error)
	// OnDevice makes the engine report the losses of its device, see
	// [engine.Engine.OnDevice].
	OnDevice(f func(s engine.DeviceState, err error))
	// DropBindings drops bindings that sessions of a memory budget can make
	// again, n bytes if there are as many.
	DropBindings(a engine.TenantBudget, n int64)
	NewSession() Session
}

// Program is a plan that an engine holds.
type Program = *engine.Program

// Session is one tenant's state in an engine.
type Session interface {
	Use(p Program) error
	Leave(p Program)
	// Charge makes the session take its memory from a memory budget. It is
	// called before the first call.
	Charge(a engine.TenantBudget)
	NewCall(ctx context.Context, p Program, bindings []int) (Call, error)
	Read(h transport.Handle) (transport.Tensor, error)
	// Profile is the profile of a program; nil if no call was measured.
	Profile(p Program) *transport.Profile
	Release(h ...transport.Handle)
	Reset()
	Close()
	Mover
}

// Mover is the part of a session that receives and sends values directly.
type Mover interface {
	// Expect reserves the memory of a value that arrives later, or of rows of
	// carried state.
	Expect(ctx context.Context, spec transport.TicketSpec) (Arriving, error)
	// Await waits until values that are still to arrive have.
	Await(ctx context.Context, h ...transport.Handle) error
	Coming(h transport.Handle) bool
	// Depart holds a retained value, DepartRows copies rows of carried state, see
	// [engine.Session.DepartRows].
	Depart(h transport.Handle) (Departing, error)
	DepartRows(ctx context.Context, name string, axis, start, stop int) (Departing, error)
}

// Arriving is a value on its way in.
type Arriving = tickets.Sink

// Departing is a value on its way out.
type Departing interface {
	// Tensor is valid until Close.
	Tensor() (transport.Tensor, error)
	Close()
}

// Peers deliver values to other workers; package peers has them.
type Peers interface {
	// Count makes them count their bytes in a ledger. It is called once, first.
	Count(l *transport.Ledger)
	// ID is in whose name they send.
	ID() transport.PeerID
	// Deliver hands over what a ticket is for.
	Deliver(ctx context.Context, t transport.Ticket, v transport.Tensor) error
}

// Call is one run.
type Call = host.Call

// WeightWriter takes the content of a weight in order.
type WeightWriter interface {
	host.WeightWriter
	Got() (n int64, prefix plan.Hash)
	Held() int64
	// Tag is the tag of the written content; nil if no tags are stored.
	Tag() *transport.PossessionTag
	Abort()
}

// WeightFinder finds weights in a model folder of the worker.
type WeightFinder interface {
	// Find returns the content named by hash from the model, or an error. model
	// is a single path element. It waits no longer than ctx.
	Find(ctx context.Context, model string, hash plan.Hash) (transport.Weight, error)
}

// ForEngine adapts package engine.
func ForEngine(e *engine.Engine) Engine { return engineBackend{e} }

// engineBackend gives the sessions and writers of an engine as interfaces, so that
// tests can stand in for them.
type engineBackend struct{ *engine.Engine }

func (b engineBackend) Compile(ctx context.Context, p *plan.Plan, h plan.Hash, pause func(ctx context.Context) error) (Program, error) {
	return b.CompileHashed(ctx, p, h, pause)
}

func (b engineBackend) Missing(p Program) []int { return b.MissingIDs(p) }

func (b engineBackend) PutWeight(p Program, v plan.Value) (WeightWriter, error) {
	w, err := b.Engine.PutWeight(p, v)
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (b engineBackend) NewSession() Session { return engineSession{b.Engine.NewSession()} }

type engineSession struct{ *engine.Session }

func (s engineSession) Expect(ctx context.Context, spec transport.TicketSpec) (Arriving, error) {
	a, err := s.Session.Expect(ctx, spec)
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (s engineSession) Depart(h transport.Handle) (Departing, error) {
	d, err := s.Session.Depart(h)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (s engineSession) DepartRows(ctx context.Context, name string, axis, start, stop int) (Departing, error) {
	d, err := s.Session.DepartRows(ctx, name, axis, start, stop)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (s engineSession) NewCall(ctx context.Context, p Program, bindings []int) (Call, error) {
	c, err := s.NewCallContext(ctx, p, bindings)
	if err != nil {
		return nil, err
	}
	return c, nil
}
