package kernels

import (
	"io/fs"
	"path"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/emulator"
)

// TestEmulatorKnowsAllKernels decodes each kernel that is embedded as PTX, also
// those that no test launches.
func TestEmulatorKnowsAllKernels(t *testing.T) {
	files, err := fs.Glob(images, "generated/sm_80/*.ptx")
	require.NoError(t, err)
	require.Len(t, files, len(modules))
	for _, f := range files {
		ptx, err := images.ReadFile(f)
		require.NoError(t, err)
		require.NoError(t, emulator.Decode(ptx), path.Base(f))
	}
}
