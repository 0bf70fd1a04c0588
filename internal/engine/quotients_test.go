package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// manyQuotients is a plan with n different quotients in its dimensions.
func manyQuotients(n int) *plan.Plan {
	p := &plan.Plan{Version: plan.VersionQuotient, Name: "quotients"}
	for i := range n {
		d := plan.Sym("a").Add(plan.C(i)).FloorDiv(n + 1)
		p.Values = append(p.Values, plan.Value{Kind: plan.KindInput, Spec: plan.Spec{DType: plan.F32, Shape: plan.Shape{d}}, Buffer: plan.NoBuffer})
		p.Inputs = append(p.Inputs, plan.Port{Name: fmt.Sprint("x", i), Value: i})
	}
	return p
}

// TestManyQuotients: the factors that each run computes are bounded.
func TestManyQuotients(t *testing.T) {
	e, err := New(Options{Device: cpu.Open, Threads: 1})
	require.NoError(t, err)
	defer e.Close()
	compile := func(n int) error {
		_, err := e.compile(e.current.Load(), manyQuotients(n), op.NewWork(nil))
		return err
	}
	require.NoError(t, compile(4096))
	require.ErrorIs(t, compile(4097), transport.ErrInvalidPlan)
}
