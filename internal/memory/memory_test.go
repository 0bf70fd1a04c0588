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
