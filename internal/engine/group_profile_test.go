package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// TestProfileMemory: a session's profile of a program is paid for, and given back
// with the program; without room the call is refused and can be made without one.
func TestProfileMemory(t *testing.T) {
	spec := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(4)}}
	p := &plan.Plan{Version: plan.Version, Name: "profiled", Buffers: 2, Inputs: []plan.Port{{Name: "x"}}}
	p.Values = []plan.Value{{Kind: plan.KindInput, Spec: spec, Buffer: plan.NoBuffer}}
	const steps = 64
	for i := range steps {
		p.Values = append(p.Values, plan.Value{Kind: plan.KindTemp, Spec: spec, Buffer: i % 2})
		p.Steps = append(p.Steps, plan.Step{Op: "softmax", Attrs: op.Softmax{Axis: -1}.Attrs(), In: []int{i}, Out: i + 1})
	}
	p.Outputs = []plan.Output{{Name: "y", Value: steps, Place: plan.Download}}
	require.NoError(t, p.Validate())
	e, err := New(Options{Threads: 1, Device: cpu.Open})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	prog, err := e.Compile(p)
	require.NoError(t, err)
	s := e.NewSession()
	defer s.Close()
	require.NoError(t, s.Use(prog))
	purse := &profilePurse{limit: 1 << 30}
	s.Charge(purse)
	run := func(measured bool) error {
		c, err := s.NewCall(prog, nil)
		require.NoError(t, err)
		defer c.Release()
		if measured {
			if err := c.Measure(); err != nil {
				return err
			}
		}
		require.NoError(t, c.SetInput(0, make([]byte, 16)))
		return c.Run(t.Context())
	}
	require.NoError(t, run(false))
	require.Nil(t, s.Profile(prog))
	purse.limit = purse.used
	require.ErrorIs(t, run(true), transport.ErrMemory)
	require.NoError(t, run(false))
	before := e.Memory().Held()[budget.Plans]
	purse.limit = 1 << 30
	for range 3 {
		require.NoError(t, run(true))
	}
	require.EqualValues(t, steps*groupProfileBytes, e.Memory().Held()[budget.Plans]-before, "once")
	profile := s.Profile(prog)
	require.EqualValues(t, 3, profile.Runs)
	require.Len(t, profile.Groups, steps)
	require.EqualValues(t, 3*2*16, profile.Groups[5].Bytes)
	require.Equal(t, "softmax", profile.Groups[5].Kernel)
	s.Forget(prog)
	require.Nil(t, s.Profile(prog))
}

// profilePurse is the budget of a tenant with a limit.
type profilePurse struct{ used, limit int64 }

func (p *profilePurse) Take(n int64) error {
	if p.used+n > p.limit {
		return transport.ErrMemory
	}
	p.used += n
	return nil
}

func (p *profilePurse) Give(n int64) { p.used -= n }
