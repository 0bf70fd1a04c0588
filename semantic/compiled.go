package semantic

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
)

// compiled is a plan of a whole graph, compiled as an executor compiles it.
type compiled struct {
	device  string // see [Device.kernelsKey]
	program *program.Program
	origin  []int // by value of the plan: the captured tensor it came from
}

// compilations keeps the last compilation of each phase, so that a cost model
// that is queried at many sizes compiles once.
type compilations [len(phaseNames)]atomic.Pointer[compiled]

// compiledFor is the plan of the declared outputs, compiled for d.
func (s *SRG) compiledFor(d Device, profile Profile) (*compiled, error) {
	slot := &s.compilations[profile.Phase]
	if c := slot.Load(); c != nil && c.device == d.kernelsKey() && !s.Outdated() {
		return c, nil
	}
	l, err := Rules{Features: fullFeatures()}.lower(s, Request{Profile: profile})
	if err != nil {
		return nil, err
	}
	p, ids, err := l.executorPlan()
	if err != nil {
		return nil, err
	}
	operators, err := s.Graph.CustomOperators()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	prog, err := program.Compile(p, d.options(operators), op.NewWork(nil))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	c := &compiled{device: d.kernelsKey(), program: prog, origin: make([]int, len(p.Values))}
	for n, v := range ids {
		c.origin[v] = n.key
	}
	slot.Store(c)
	return c, nil
}

// kernelsKey distinguishes devices with different kernels.
func (d Device) kernelsKey() string { return d.Kind + ":" + strings.Join(d.Lacks, ",") }
