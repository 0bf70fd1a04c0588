package systems

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// frame is an answer followed by the given number of bytes.
func frame(head string, data ...byte) []byte {
	return append(append(binary.LittleEndian.AppendUint32(nil, uint32(len(head))), head...), data...)
}

func TestReadFrame(t *testing.T) {
	a, tensors, err := readFrame(bytes.NewReader(frame(
		`{"id": 3, "result": [1], "tensors": [{"name": "x", "dtype": "i32", "shape": [1], "bytes": 4}]}`, 1, 2, 3, 4)))
	require.NoError(t, err)
	require.Equal(t, uint64(3), a.ID)
	require.Equal(t, map[string]Tensor{"x": {DType: "i32", Shape: []int{1}, Data: []byte{1, 2, 3, 4}}}, tensors)
}

func TestReadFrameRefuses(t *testing.T) {
	tensor := func(s string) []byte { return frame(`{"id": 1, "tensors": [` + s + `]}`) }
	const small = `{"name": "x", "dtype": "f32", "shape": [], "bytes": 4}`
	for name, c := range map[string]struct {
		in []byte
		is error
	}{
		"nothing":          {nil, io.EOF},
		"cut length":       {[]byte{1, 0}, io.ErrUnexpectedEOF},
		"no header":        {[]byte{1, 0, 0, 0}, io.ErrUnexpectedEOF},
		"cut header":       {[]byte{3, 0, 0, 0, '{'}, io.ErrUnexpectedEOF},
		"long header":      {binary.LittleEndian.AppendUint32(nil, maxHeader+1), ErrProtocol},
		"not JSON":         {frame("{"), ErrProtocol},
		"wrong JSON":       {frame(`{"id": "a"}`), ErrProtocol},
		"type":             {tensor(`{"name": "x", "dtype": "f99", "shape": [], "bytes": 4}`), ErrProtocol},
		"negative":         {tensor(`{"name": "x", "dtype": "f32", "shape": [-1], "bytes": -4}`), ErrProtocol},
		"two negatives":    {tensor(`{"name": "x", "dtype": "f32", "shape": [-1, -1], "bytes": 4}`), ErrProtocol},
		"too big":          {tensor(`{"name": "x", "dtype": "f32", "shape": [536870912], "bytes": 2147483648}`), ErrProtocol},
		"overflow":         {tensor(`{"name": "x", "dtype": "f32", "shape": [536870912, 536870912, 536870912], "bytes": 0}`), ErrProtocol},
		"bytes":            {tensor(`{"name": "x", "dtype": "f32", "shape": [2], "bytes": 4}`), ErrProtocol},
		"no data":          {tensor(small), io.ErrUnexpectedEOF},
		"twice":            {append(tensor(small+","+small), 1, 2, 3, 4, 5, 6, 7, 8), ErrProtocol},
		"too many tensors": {tensor(strings.TrimSuffix(strings.Repeat(small+",", maxTensors+1), ",")), ErrProtocol},
	} {
		_, _, err := readFrame(bytes.NewReader(c.in))
		require.ErrorIs(t, err, c.is, name)
	}
}

func TestReadFrameBoundsTotal(t *testing.T) {
	// Each tensor is within the limit; the two together exceed it.
	const each = maxPayload / 4 * 3
	two := make([]string, 2)
	for i := range two {
		two[i] = fmt.Sprintf(`{"name": "%d", "dtype": "f32", "shape": [%d], "bytes": %d}`, i, each/4, each)
	}
	in := io.MultiReader(bytes.NewReader(frame(`{"tensors": [`+two[0]+","+two[1]+`]}`)), io.LimitReader(zeros{}, 2*each))
	_, _, err := readFrame(in)
	require.ErrorIs(t, err, ErrProtocol)
}

// TestReadFrameTakesMemoryAsBytesCome: lengths without content cost little, and
// content in any number of pieces arrives complete.
func TestReadFrameTakesMemoryAsBytesCome(t *testing.T) {
	const most = maxPayload
	for name, in := range map[string][]byte{
		"header": append(binary.LittleEndian.AppendUint32(nil, maxHeader), '{'),
		"tensor": frame(fmt.Sprintf(`{"tensors": [{"name": "x", "dtype": "f32", "shape": [%d], "bytes": %d}]}`, most/4, most), 1, 2, 3),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := readFrame(bytes.NewReader(in))
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, name)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), name)
	}
	for _, n := range []int{0, 1, firstPiece - 1, firstPiece, firstPiece + 1, 2 * firstPiece, 5*firstPiece + 3} {
		want := make([]byte, n)
		for i := range want {
			want[i] = byte(i * 131 >> 3)
		}
		got, err := readBytes(iotest.HalfReader(bytes.NewReader(append(slices.Clone(want), 9))), int64(n))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "%d bytes", n)
		if n > 0 {
			_, err = readBytes(bytes.NewReader(want[:n-1]), int64(n))
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d bytes", n)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestTail(t *testing.T) {
	var s tail
	for i := range 10000 {
		n, err := fmt.Fprintf(&s, "line %d\n", i)
		require.NoError(t, err)
		require.Positive(t, n)
	}
	require.LessOrEqual(t, len(s.buf), tailBytes)
	require.Equal(t, "line 9998\n\tline 9999", s.lines(2))
	_, _ = s.Write(bytes.Repeat([]byte("x"), 3*tailBytes))
	require.Len(t, s.buf, tailBytes)
	s = tail{}
	require.Empty(t, s.lines(3))
	_, _ = s.Write([]byte("10%\r20%\r\nend\r\n\n"))
	require.Equal(t, "20%\n\tend", s.lines(5))
}

func FuzzReadFrame(f *testing.F) {
	f.Add(frame(`{"id": 1, "result": {"a": 2}}`))
	f.Add(frame(`{"id": 1, "tensors": [{"name": "x", "dtype": "i64", "shape": [1, 2], "bytes": 16}]}`, make([]byte, 16)...))
	f.Add(frame(`{"id": 1, "error": {"type": "E", "message": "m", "unavailable": true}}`))
	f.Add([]byte("Traceback (most recent call last):"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, tensors, err := readFrame(bytes.NewReader(b))
		if err != nil {
			require.True(t, errors.Is(err, ErrProtocol) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF), "%v", err)
			return
		}
		require.Len(t, tensors, len(a.Tensors))
		for name, x := range tensors {
			require.NoError(t, x.check(int64(len(x.Data))), name)
		}
	})
}
