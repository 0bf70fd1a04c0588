package safetensors

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOddFiles reads files that are unusual and right: safetensors 0.8.0
// (safe_open of its Python binding) reads each but the last, whose type it has
// never heard of. Other writers make them, see safetensors/safetensors#823 and
// foundation-model-stack/fastsafetensors#96.
func TestOddFiles(t *testing.T) {
	const a = `"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}`
	for name, c := range map[string]struct {
		header string
		data   int
	}{
		"unknown keys":        {`{"a":{"dtype":"U8","strides":[1],"x":{"y":[null,{}]},"x":2,"shape":[2],"data_offsets":[0,2]}}`, 2},
		"tensor twice":        {`{` + a + `,` + a + `}`, 2},
		"metadata is null":    {`{"__metadata__":null,` + a + `}`, 2},
		"metadata key twice":  {`{"__metadata__":{"k":"1","k":"2"},` + a + `}`, 2},
		"space before":        {" \t" + `{` + a + `}`, 2},
		"space after":         {`{` + a + `}` + "  \n", 2},
		"empty tensor at end": {`{` + a + `,"z":{"dtype":"F32","shape":[0,3],"data_offsets":[2,2]}}`, 2},
		"empty tensor first":  {`{` + a + `,"z":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`, 2},
		"F8":                  {`{` + a + `,"z":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[2,5]}}`, 5},
		"F8 of AMD":           {`{` + a + `,"z":{"dtype":"F8_E5M2FNUZ","shape":[3],"data_offsets":[2,5]}}`, 5},
		"F4":                  {`{` + a + `,"z":{"dtype":"F4","shape":[3,2],"data_offsets":[2,5]}}`, 5},
		"F6":                  {`{` + a + `,"z":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[2,5]}}`, 5},
		"complex":             {`{` + a + `,"z":{"dtype":"C64","shape":[1],"data_offsets":[2,10]}}`, 10},
		"type of tomorrow":    {`{` + a + `,"z":{"dtype":"F2","shape":[7],"data_offsets":[2,5]}}`, 5},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "odd.safetensors")
			require.NoError(t, os.WriteFile(path, image(c.header, c.data), 0o600))
			f, err := Open(path)
			require.NoError(t, err)
			defer f.Close()
			got, ok := f.Tensor("a")
			require.True(t, ok)
			require.Equal(t, U8, got.DType)
			require.Len(t, got.Data, 2)
		})
	}
}
