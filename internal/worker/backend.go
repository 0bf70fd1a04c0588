package worker

import (
	"context"
	"io"
	"time"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/engine"
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
	// DropBindings drops bindings that sessions of an account can make again, n
	// bytes if there are as many.
	DropBindings(a engine.Account, n int64)
	NewSession() Session
}

// Program is a plan that an engine holds.
type Program interface {
	Plan() *plan.Plan
	Hash() plan.Hash
	// Size is its memory, in bytes.
	Size() int64
	Symbols() []string
}

// Session is one tenant's state in an engine.
type Session interface {
	Use(p Program) error
	Leave(p Program)
	// Charge makes the session take its memory from an account. It is called
	// before the first call.
	Charge(a engine.Account)
	NewCall(ctx context.Context, p Program, bindings []int) (Call, error)
	Read(h transport.Handle) (transport.Tensor, error)
	Release(h ...transport.Handle)
	Reset()
	Close()
}

// Call is one run.
type Call interface {
	SetInput(i int, data []byte) error
	SetHandle(i int, h transport.Handle) error
	Run(ctx context.Context) error
	Output(i int) (transport.Tensor, transport.Handle)
	Elapsed() time.Duration
	Release()
}

// WeightWriter takes the content of a weight in order.
type WeightWriter interface {
	io.Writer
	Got() (n int64, prefix plan.Hash)
	Held() int64
	// Tag is the tag of the written content; nil if no tags are stored.
	Tag() *transport.PossessionTag
	Commit() error
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

type engineBackend struct{ *engine.Engine }

func (b engineBackend) Program(h plan.Hash) (Program, bool) {
	p, ok := b.Engine.Program(h)
	return p, ok
}

func (b engineBackend) Compile(ctx context.Context, p *plan.Plan, h plan.Hash, pause func(ctx context.Context) error) (Program, error) {
	c, err := b.CompileHashed(ctx, p, h, pause)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (b engineBackend) Missing(p Program) []int { return b.MissingIDs(p.(*engine.Program)) }

func (b engineBackend) PutWeight(p Program, v plan.Value) (WeightWriter, error) {
	w, err := b.Engine.PutWeight(p.(*engine.Program), v)
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (b engineBackend) PossessionTag(p Program, id int) *transport.PossessionTag {
	return b.Engine.PossessionTag(p.(*engine.Program), id)
}

func (b engineBackend) Fits(p Program, absent func(plan.Hash) bool) error {
	return b.Engine.Fits(p.(*engine.Program), absent)
}

func (b engineBackend) WeightForm(p Program, v plan.Value) (engine.WeightKey, error) {
	return b.Engine.WeightForm(p.(*engine.Program), v)
}

func (b engineBackend) WeightMemory(p Program, v plan.Value) (int64, error) {
	return b.Engine.WeightMemory(p.(*engine.Program), v)
}

func (b engineBackend) NewSession() Session { return engineSession{b.Engine.NewSession()} }

type engineSession struct{ *engine.Session }

func (s engineSession) Use(p Program) error { return s.Session.Use(p.(*engine.Program)) }
func (s engineSession) Leave(p Program)     { s.Session.Leave(p.(*engine.Program)) }

func (s engineSession) NewCall(ctx context.Context, p Program, bindings []int) (Call, error) {
	c, err := s.NewCallContext(ctx, p.(*engine.Program), bindings)
	if err != nil {
		return nil, err
	}
	return c, nil
}
