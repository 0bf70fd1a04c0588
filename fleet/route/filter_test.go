package route_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/transport/plan"
)

func TestFilter(t *testing.T) {
	for _, n := range []int{1, 100, 10_000, 50_000} {
		f := route.NewFilter(n)
		for i := range n {
			f.Add(route.Key(i * 7919))
		}
		wrong := 0
		for i := range n {
			require.True(t, f.Has(route.Key(i*7919)))
		}
		for i := range 10_000 {
			if f.Has(route.Key(-1 - i)) {
				wrong++
			}
		}
		require.Less(t, wrong, 200, "%d keys", n)
		require.False(t, f.Saturated())
		data, err := f.MarshalBinary()
		require.NoError(t, err)
		require.LessOrEqual(t, len(data), route.MaxFilterBytes)
		g := &route.Filter{}
		require.NoError(t, g.UnmarshalBinary(data))
		require.Equal(t, f, g)
	}
}

func TestFilterSaturates(t *testing.T) {
	f := route.NewFilter(10)
	for i := range 1000 {
		f.Add(route.Key(i))
	}
	require.True(t, f.Saturated())
	var none route.Filter
	require.False(t, none.Has(1))
	none.Add(1)
	require.True(t, none.Has(1))
	require.False(t, (*route.Filter)(nil).Has(1))
}

func TestFilterRefuses(t *testing.T) {
	for name, data := range map[string][]byte{
		"short":       {0xb1, 7, 0, 0},
		"odd":         make([]byte, 13),
		"magic":       make([]byte, 12),
		"no probes":   append([]byte{0xb1, 0, 0, 0}, make([]byte, 8)...),
		"many probes": append([]byte{0xb1, 200, 0, 0}, make([]byte, 8)...),
		"large":       append([]byte{0xb1, 7, 0, 0}, make([]byte, route.MaxFilterBytes)...),
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, new(route.Filter).UnmarshalBinary(data), route.ErrFilter)
		})
	}
}

func FuzzFilter(f *testing.F) {
	f.Add([]byte{})
	f.Add(append([]byte{0xb1, 7, 0, 0}, make([]byte, 16)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		var filter route.Filter
		if filter.UnmarshalBinary(data) != nil {
			return
		}
		again, err := filter.MarshalBinary()
		require.NoError(t, err)
		require.Len(t, again, len(data))
		filter.Has(1)
	})
}

func TestBlocks(t *testing.T) {
	tokens := make([]int, 100)
	a := route.Blocks(plan.Hash{1}, nil, tokens)
	require.Len(t, a, 3)
	tokens[70] = 1
	b := route.Blocks(plan.Hash{1}, nil, tokens)
	require.Equal(t, a[:2], b[:2])
	require.NotEqual(t, a[2], b[2])
	require.NotEqual(t, a[0], route.Blocks(plan.Hash{2}, nil, tokens)[0], "another model")
	require.NotEqual(t, a[0], route.Blocks(plan.Hash{1}, []byte("key"), tokens)[0], "another fleet")
	require.Len(t, route.Blocks(plan.Hash{}, nil, make([]int, 1<<20)), route.MaxBlocks)
}
