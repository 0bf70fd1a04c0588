package memory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/memory"
)

func TestMap(t *testing.T) {
	for _, n := range []int{0, 1, 4096, 5 << 20} {
		b, err := memory.Map(n)
		require.NoError(t, err)
		require.Len(t, b, n)
		for i := range b {
			require.Zero(t, b[i])
			b[i] = 1
			if n > 4096 {
				break
			}
		}
		memory.Unmap(b)
	}
}

func TestGrow(t *testing.T) {
	var b []byte
	for i, n := range []int{4096, 12288, 1 << 20, 6 << 20, 64 << 20} {
		grown, err := memory.Grow(b, n)
		require.NoError(t, err)
		require.Len(t, grown, n)
		for k := range i {
			require.Equal(t, byte(k+1), grown[k], "what was there")
		}
		require.Zero(t, grown[n-1])
		grown[i] = byte(i + 1)
		b = grown
	}
	memory.Unmap(b)
}
