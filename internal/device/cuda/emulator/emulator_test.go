package emulator_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/emulator"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
)

func TestFill(t *testing.T) {
	d := emulator.New(emulator.Options{})
	c, err := d.Open(0)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	k, err := kernels.Load(c)
	require.NoError(t, err)
	s, err := c.NewStream()
	require.NoError(t, err)
	p, err := c.Alloc(4 * 1000)
	require.NoError(t, err)
	require.NoError(t, k.Fill(s, p, 7, 1000))
	out := make([]byte, 4000)
	require.NoError(t, s.CopyOut(out, p))
	require.NoError(t, s.Synchronize())
	for i := range 1000 {
		require.Equal(t, uint32(7), binary.LittleEndian.Uint32(out[4*i:]))
	}
}
