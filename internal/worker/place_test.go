package worker_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// TestOneDevice sends a plan for a device that the worker does not have, as a
// client that does not look would: it is refused, by its bytes and then by its
// hash, and the session is none the worse for it.
func TestOneDevice(t *testing.T) {
	w := workertest.Start(t, nil)
	p := greeted(t, w)
	p.session()
	pl := growing(1, false, plan.Retain)
	pl.Steps[len(pl.Steps)-1].Device = 1
	encoded, err := pl.Encode()
	require.NoError(t, err)
	h, plans := pl.Hash(), w.Engine.Stats().Plans
	prepare := func(n int) error {
		return p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 7, Hash: h[:], PlanBytes: uint64(n)}, encoded[:n], &wirepb.Prepared{})
	}
	require.ErrorIs(t, prepare(len(encoded)), transport.ErrInvalidPlan)
	require.NoError(t, prepare(0), "it is asked for the plan")
	require.ErrorContains(t, prepare(len(encoded)), "device 1")
	require.Equal(t, plans, w.Engine.Stats().Plans, "none was compiled")
	require.NoError(t, p.ask(wire.TypeReset, &wirepb.Reset{Session: 1}, nil, nil))
}
