package budget_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/transport"
)

// spare is memory that can be given up.
type spare struct {
	account *budget.Budget
	mu      sync.Mutex
	n       int64
}

func (s *spare) Idle() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

func (s *spare) Reclaim(n int64) {
	s.mu.Lock()
	n = min(n, s.n)
	s.n -= n
	s.mu.Unlock()
	s.account.Release(budget.Scratch, n)
}

// add reserves bytes and makes them spare.
func (s *spare) add(n int64) error {
	if err := s.account.Reserve(budget.Scratch, n, "spare"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n += n
	return nil
}

func TestAccount(t *testing.T) {
	a := budget.New(100)
	cache, weights := &spare{account: a}, &spare{account: a}
	a.Register(budget.Unused, weights)
	forget := a.Register(budget.Spare, cache)
	require.NoError(t, a.Reserve(budget.State, 40, "a cache"))
	require.NoError(t, cache.add(20))
	require.NoError(t, weights.add(20))
	require.NoError(t, a.Reserve(budget.State, 20, "a cache"), "to the last byte")
	require.EqualValues(t, 100, a.Used())
	require.Equal(t, budget.Amounts{budget.State: 60, budget.Scratch: 40}, a.Held())

	for _, err := range []error{
		a.Reserve(budget.Retained, 41, "outputs"), a.Check(41, "outputs"),
		a.ReserveAll(budget.Amounts{budget.Retained: 40, budget.Staging: 1}, "outputs"),
	} {
		require.Equal(t, &transport.MemoryError{Need: 41, Free: 40, Limit: 100, For: "outputs"}, err)
		require.ErrorIs(t, err, transport.ErrMemory)
		require.EqualError(t, err, "genie: not enough memory: 41 bytes needed for outputs, 40 of 100 are free")
	}
	require.EqualValues(t, 100, a.Used(), "nothing has been given up for it")
	require.NoError(t, a.Check(40, "outputs"))
	require.NoError(t, a.Reserve(budget.Retained, 15, "outputs"))
	require.EqualValues(t, 5, cache.Idle(), "spare memory goes first")
	require.EqualValues(t, 20, weights.Idle())
	require.NoError(t, a.ReserveAll(budget.Amounts{budget.Retained: 7, budget.Staging: 3}, "outputs"))
	require.Zero(t, cache.Idle())
	require.EqualValues(t, 15, weights.Idle())
	forget()
	a.Reclaim()
	a.Release(budget.State, 60)
	a.Release(budget.Retained, 22)
	a.Release(budget.Staging, 3)
	require.Zero(t, a.Used())
	require.Equal(t, budget.Amounts{}, a.Held())
	require.NoError(t, a.Reserve(budget.State, 0, "nothing"))
	require.NoError(t, a.Reserve(budget.State, -1, "nothing"))
	require.Error(t, a.Reserve(budget.State, 1<<62, "too much"))
}

func TestNoLimit(t *testing.T) {
	a := budget.New(0)
	require.NoError(t, a.Reserve(budget.Weights, 1<<50, "weights"))
	require.NoError(t, a.Check(1<<60, "weights"))
	a.Release(budget.Weights, 1<<50)
	require.Zero(t, a.Used())
}

// TestContention takes, spares and gives back from many goroutines: the limit
// holds at every moment and everything comes back.
func TestContention(t *testing.T) {
	const limit = 1000
	a := budget.New(limit)
	s := &spare{account: a}
	a.Register(budget.Spare, s)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				n := int64(1 + (i*7+g*13)%400)
				if i%5 == 0 {
					_ = s.add(n / 4)
					continue
				}
				if a.Reserve(budget.State, n, "a state") != nil {
					continue
				}
				if used := a.Used(); used > limit {
					t.Errorf("%d of %d used", used, limit)
				}
				a.Release(budget.State, n)
			}
		})
	}
	wg.Wait()
	a.Reclaim()
	require.Zero(t, a.Used())
}
