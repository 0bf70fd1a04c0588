package worker

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/transport/plan"
)

func numbered(i int) (h plan.Hash) {
	binary.LittleEndian.PutUint64(h[:], uint64(i)+1)
	return h
}

// TestManyProofs remembers of one identity as much as the limit says, the newest,
// in memory of the account.
func TestManyProofs(t *testing.T) {
	account, x := budget.New(0), &tenant{}
	for i := range maxKnown + 10 {
		require.NoError(t, x.learns(account, numbered(i)))
		require.NoError(t, x.learns(account, numbered(i)))
	}
	require.Len(t, x.known.of, maxKnown)
	require.False(t, x.knows(numbered(9)))
	require.True(t, x.knows(numbered(10)))
	require.True(t, x.knows(numbered(maxKnown+9)))
	require.EqualValues(t, maxKnown*knownBytes, account.Used())
	x.forgets(account)
	require.Zero(t, account.Used())
	require.False(t, x.knows(numbered(maxKnown)))

	small := budget.New(knownBlock * knownBytes)
	for i := range knownBlock {
		require.NoError(t, x.learns(small, numbered(i)))
	}
	require.Error(t, x.learns(small, numbered(knownBlock)))
	require.True(t, x.knows(numbered(0)))
}
