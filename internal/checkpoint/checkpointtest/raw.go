package checkpointtest

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Raw is a tensor as a header may describe it: of any type, with any additional
// keys.
type Raw struct {
	DType string
	Shape []int64
	Data  []byte
	More  map[string]any
}

// Raw are the tensors of a file for [WriteRaw].
func (x Tensors) Raw() map[string]Raw {
	out := make(map[string]Raw, len(x))
	for name, t := range x {
		out[name] = Raw{DType: string(t.DType), Shape: t.Shape, Data: t.Data}
	}
	return out
}

// WriteRaw writes a safetensors file by hand, with pad spaces after a header
// that ends at a multiple of 8: the data is aligned when pad is a multiple of 8
// too, and begins with the tensors whose bytes are a multiple of 4.
func WriteRaw(t *testing.T, path string, tensors map[string]Raw, pad int) {
	t.Helper()
	header := map[string]any{}
	var data []byte
	names := slices.SortedFunc(maps.Keys(tensors), func(a, b string) int {
		x, y := len(tensors[a].Data)%4, len(tensors[b].Data)%4
		if x != y {
			return x - y
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		x := tensors[name]
		entry := map[string]any{"dtype": x.DType, "shape": append([]int64{}, x.Shape...), "data_offsets": []int{len(data), len(data) + len(x.Data)}}
		maps.Copy(entry, x.More)
		header[name] = entry
		data = append(data, x.Data...)
	}
	text, err := json.Marshal(header)
	require.NoError(t, err)
	text = append(text, strings.Repeat(" ", (8-len(text)%8)%8+pad)...)
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	write(t, path, slices.Concat(file, text, data))
}
