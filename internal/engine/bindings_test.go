package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/transport"
)

// runChain calls a chain plan once.
func runChain(t *testing.T, s *Session, p *Program) error {
	t.Helper()
	c, err := s.NewCall(p, nil)
	if err != nil {
		return err
	}
	defer c.Release()
	require.NoError(t, c.SetInput(0, make([]byte, 4)))
	return c.Run(t.Context())
}

// TestBindingsAreEvicted has many sessions run a large plan in memory for a few
// bindings of it: all run, since those of idle sessions are dropped.
func TestBindingsAreEvicted(t *testing.T) {
	e := open(t, Options{Device: cpu.Open, Threads: 1, MemLimit: 24 << 20})
	p, err := e.Compile(chainPlan("chain", 5000, 0))
	require.NoError(t, err)
	purses := make([]*purse, 12)
	sessions := make([]*Session, len(purses))
	for i := range sessions {
		purses[i] = &purse{limit: 8 << 20}
		sessions[i] = e.NewSession()
		defer sessions[i].Close()
		sessions[i].Charge(purses[i])
		require.NoError(t, runChain(t, sessions[i], p))
		require.LessOrEqual(t, e.Memory().Used(), int64(24<<20))
		require.Equal(t, p.bound, purses[i].used, "the tenant pays for it")
	}
	require.Zero(t, purses[0].used, "what was used longest ago has gone")
	require.NoError(t, runChain(t, sessions[0], p), "and is made again")
	for i := range sessions {
		sessions[i].Close()
		require.Zero(t, purses[i].used)
	}
	require.Equal(t, p.size, e.Memory().Held()[budget.Plans])
}

// TestBindingsOfASession bounds the bindings of one session that calls many
// plans.
func TestBindingsOfASession(t *testing.T) {
	e := open(t, Options{Device: cpu.Open, Threads: 1})
	s := e.NewSession()
	defer s.Close()
	b := &purse{limit: 1 << 40}
	s.Charge(b)
	for i := range 12 {
		p, err := e.Compile(chainPlan(fmt.Sprint("chain", i), 10000, 0))
		require.NoError(t, err)
		require.NoError(t, runChain(t, s, p))
		require.LessOrEqual(t, b.used, int64(MaxBindingBytes))
		require.GreaterOrEqual(t, b.used, p.bound)
	}
	b.limit = b.used // no more: others of the session are dropped
	p, err := e.Compile(chainPlan("one more", 12000, 0))
	require.NoError(t, err)
	require.NoError(t, runChain(t, s, p))
	b.limit = 100
	p, err = e.Compile(chainPlan("and one", 1000, 0))
	require.NoError(t, err)
	require.ErrorIs(t, runChain(t, s, p), errPurse)
	require.Zero(t, b.used)
}

// TestIdlePlansAreBounded compiles plans that no session uses: the budget
// counts them, the oldest are dropped beyond a bound, and all of them when
// memory is needed.
func TestIdlePlansAreBounded(t *testing.T) {
	const limit = 64 << 20
	e := open(t, Options{Device: cpu.Open, Threads: 1, MemLimit: limit})
	s := e.NewSession()
	defer s.Close()
	used, err := e.Compile(chainPlan("used", 2, 1<<20))
	require.NoError(t, err)
	require.NoError(t, s.Use(used))
	for i := range 40 {
		p, err := e.Compile(chainPlan(fmt.Sprint("idle", i), 2, 4<<20))
		require.NoError(t, err)
		require.LessOrEqual(t, e.unusedBytes, int64(limit/4))
		require.Equal(t, e.unusedBytes+used.size, e.Memory().Held()[budget.Plans])
		_, ok := e.Program(p.Hash())
		require.True(t, ok)
	}
	require.NoError(t, e.Memory().Reserve(budget.Staging, limit-used.size, "all of it"))
	require.Equal(t, used.size, e.Memory().Held()[budget.Plans], "but for what a session uses")
	_, err = e.Compile(chainPlan("no room", 2, 4<<20))
	require.ErrorIs(t, err, transport.ErrMemory)
	e.Memory().Release(budget.Staging, limit-used.size)
	require.NoError(t, runChain(t, s, used))
}
