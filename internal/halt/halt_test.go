package halt_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/halt"
)

func TestCounter(t *testing.T) {
	asked := 0
	f := halt.Func(func() bool { asked++; return asked == 3 })
	c := f.Counter()
	require.False(t, c.Stop(1), "the first question is asked at once")
	require.Equal(t, 1, asked)
	for range halt.Every - 1 {
		require.False(t, c.Stop(1))
	}
	require.Equal(t, 1, asked)
	require.False(t, c.Stop(1))
	require.Equal(t, 2, asked)
	require.True(t, c.Stop(halt.Every))
}

func TestNil(t *testing.T) {
	var f halt.Func
	c := f.Counter()
	require.False(t, f.Now())
	for range 3 {
		require.False(t, c.Stop(1<<60))
	}
}
