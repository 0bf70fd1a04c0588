package op_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// scanned is the assignment found by examining every buffer for every value:
// the definition of [op.AssignBuffers].
func scanned(sizes []int64, lives []op.Lifetime) (buffers []int, n int) {
	type buffer struct {
		free int
		size int64
	}
	better := func(a, b, need int64) bool {
		if a >= need && b >= need {
			return a < b
		}
		if a >= need || b >= need {
			return a >= need
		}
		return a > b
	}
	order := make([]int, len(lives))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return lives[a].Def - lives[b].Def })
	var all []buffer
	buffers = make([]int, len(lives))
	for _, i := range order {
		best := -1
		for k, b := range all {
			if b.free <= lives[i].Def && (best < 0 || better(b.size, all[best].size, sizes[i])) {
				best = k
			}
		}
		if best < 0 {
			best = len(all)
			all = append(all, buffer{})
		}
		all[best] = buffer{free: lives[i].Last + 1, size: max(sizes[i], all[best].size)}
		buffers[i] = best
	}
	return buffers, len(all)
}

// TestAssignBuffers compares the chosen buffers with those that an exhaustive
// search chooses.
func TestAssignBuffers(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 3))
		n := 1 + rng.IntN(400)
		p := &plan.Plan{Version: plan.Version}
		var lives []op.Lifetime
		var sizes []int64
		kinds := 1 + rng.IntN(300)
		for v := range n {
			size := 1 + rng.IntN(kinds)
			p.Values = append(p.Values, plan.Value{Spec: plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(size)}}})
			def := rng.IntN(n)
			lives = append(lives, op.Lifetime{Value: v, Def: def, Last: def + rng.IntN(1+n/4)})
			sizes = append(sizes, int64(4*size))
		}
		got, k := op.AssignBuffers(p, lives)
		want, m := scanned(sizes, lives)
		require.Equal(t, want, got, "seed %d", seed)
		require.Equal(t, m, k)
	}
}
