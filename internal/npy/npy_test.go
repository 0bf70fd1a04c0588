package npy_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/npy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// numpySaved is what numpy.save of NumPy 2.4 writes of
// numpy.arange(6, dtype=numpy.float32).reshape(2, 3), without its elements.
const numpySaved = "934e554d5059010076007b276465736372273a20273c6634272c2027666f727472616e5f6f72646572273a2046616c73652c20277368617065273a2028322c2033292c207d"

func saved(t testing.TB) []byte {
	b, err := hex.DecodeString(numpySaved)
	require.NoError(t, err)
	b = append(b, strings.Repeat(" ", 127-len(b))+"\n"...)
	return append(b, 0, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64, 0, 0, 128, 64, 0, 0, 160, 64)
}

func TestNumPyFile(t *testing.T) {
	x, err := npy.Read(bytes.NewReader(saved(t)), 1<<20)
	require.NoError(t, err)
	require.Equal(t, plan.F32, x.DType)
	require.Equal(t, []int{2, 3}, x.Shape)
	var b bytes.Buffer
	require.NoError(t, npy.Write(&b, x))
	require.Equal(t, saved(t), b.Bytes(), "written as NumPy writes it")
}

func TestRoundTrip(t *testing.T) {
	for _, x := range []transport.Tensor{
		{DType: plan.I64, Shape: []int{}, Data: make([]byte, 8)},
		{DType: plan.I32, Shape: []int{3}, Data: make([]byte, 12)},
		{DType: plan.Bool, Shape: []int{2, 1}, Data: []byte{0, 1}},
		{DType: plan.F32, Shape: []int{0, 4}, Data: nil},
	} {
		var b bytes.Buffer
		require.NoError(t, npy.Write(&b, x))
		got, err := npy.Read(&b, 1<<20)
		require.NoError(t, err)
		require.Equal(t, x.DType, got.DType)
		require.Equal(t, x.Shape, got.Shape)
		require.Len(t, got.Data, len(x.Data))
	}
	require.ErrorIs(t, npy.Write(io.Discard, transport.Tensor{DType: plan.F16}), npy.ErrFormat)
}

func file(header, elements string) []byte {
	return append(append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), 0), header+elements...)
}

func TestRefused(t *testing.T) {
	tests := []struct{ name, want string }{
		{"", "does not begin"},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", "float32"},
		{"{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", "row-major"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }", "limit"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", "shape"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "4 bytes of elements"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", ""},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }", "more after"},
		{"{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }", "boolean"},
		{"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "fields"},
		{"{'descr': '<f4', 'fortran_order': False, }", "lacks"},
		{"{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,), }", "fields"},
		{"{'shape': (-1,), }", "shape"},
		{"{'shape': (1,), 'shape': (1,)}", "header"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := file(tt.name, "abcd")
			if tt.name == "" {
				b = []byte("PK")
			}
			_, err := npy.Read(bytes.NewReader(b), 1<<20)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, npy.ErrFormat)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(saved(f))
	f.Add(file("{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }", "\x00\x01\x00\x01"))
	f.Add(file("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }", ""))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := npy.Read(bytes.NewReader(b), 1<<20)
		if err != nil {
			require.ErrorIs(t, err, npy.ErrFormat)
			return
		}
		var w bytes.Buffer
		require.NoError(t, npy.Write(&w, x))
		again, err := npy.Read(&w, 1<<20)
		require.NoError(t, err)
		require.Equal(t, x.Shape, again.Shape)
		require.True(t, bytes.Equal(x.Data, again.Data))
	})
}
