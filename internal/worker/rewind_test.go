package worker_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/tcp"
)

// TestHostileRewind shortens what a session does not have, and to what nothing has.
func TestHostileRewind(t *testing.T) {
	w := workertest.Start(t, nil)
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	defer func() { require.NoError(t, ex.Close()) }()
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	r := s.(transport.Rewinder)
	for want, to := range map[error]transport.StateLength{
		transport.ErrState: {Name: "no such state", Length: 1},
		transport.ErrLimit: {Name: "no such state", Length: math.MaxInt},
	} {
		require.ErrorIs(t, r.Rewind(t.Context(), to), want)
	}
	require.NoError(t, r.Rewind(t.Context(), transport.StateLength{Name: "no such state"}), "nothing is nothing")
}
