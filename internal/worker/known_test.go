package worker

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

func numbered(i int) (h plan.Hash) {
	binary.LittleEndian.PutUint64(h[:], uint64(i)+1)
	return h
}

// TestManyProofs remembers for one identity as many contents as the limit says,
// the newest, in memory that counts against the budget.
func TestManyProofs(t *testing.T) {
	server := func(limit int64) *Server {
		e, err := host.Open(engine.Options{Threads: 1, MemLimit: limit})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, e.Close()) })
		return &Server{opts: Options{Engine: ForEngine(e)}}
	}
	s, x := server(0), &tenant{}
	for i := range maxKnown + 10 {
		require.NoError(t, s.learns(x, numbered(i)))
		require.NoError(t, s.learns(x, numbered(i)))
	}
	require.Len(t, x.known.of, maxKnown)
	require.False(t, x.knows(numbered(9)))
	require.True(t, x.knows(numbered(10)))
	require.True(t, x.knows(numbered(maxKnown+9)))
	account := s.opts.Engine.Memory()
	require.EqualValues(t, maxKnown*knownBytes, account.Used())
	require.EqualValues(t, maxKnown*knownBytes, x.bytes.used.Load(), "of the identity's quota, too")
	x.forgets(account)
	require.Zero(t, account.Used())
	require.Zero(t, x.bytes.used.Load())
	require.False(t, x.knows(numbered(maxKnown)))

	small := server(knownBlock * knownBytes)
	for i := range knownBlock {
		require.NoError(t, small.learns(x, numbered(i)))
	}
	require.ErrorIs(t, small.learns(x, numbered(knownBlock)), transport.ErrMemory)
	require.True(t, x.knows(numbered(0)))

	x.forgets(small.opts.Engine.Memory())
	x.bytes.limit = 2 * knownBlock * knownBytes
	for i := range 2 * knownBlock {
		require.NoError(t, s.learns(x, numbered(i)))
	}
	require.ErrorIs(t, s.learns(x, numbered(2*knownBlock)), transport.ErrQuota)
	require.EqualValues(t, 2*knownBlock*knownBytes, account.Used())
}
