package safetensors

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/memory"
)

// image builds a file from a header text and n data bytes.
func image(header string, n int) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	out = append(out, header...)
	for i := range n {
		out = append(out, byte(i))
	}
	return out
}

// oneTensor builds a file with a single tensor "a" of the given field texts.
func oneTensor(dtype, shape, offsets string, n int) []byte {
	return image(`{"a":{"dtype":`+dtype+`,"shape":`+shape+`,"data_offsets":`+offsets+`}}`, n)
}

const (
	u8at = `{"dtype":"U8","shape":[2],"data_offsets":[0,2]}`
	u8b  = `{"dtype":"U8","shape":[2],"data_offsets":[2,4]}`
)

// badFiles are files with false headers, each with the reader's error.
var badFiles = []struct {
	name     string
	data     []byte
	sentinel error
	tensor   string
	reason   string
}{
	{"empty", nil, ErrCorrupt, "", "0 bytes"},
	{"seven bytes", make([]byte, 7), ErrCorrupt, "", "7 bytes"},
	{"length past the file", append(binary.LittleEndian.AppendUint64(nil, 100), "{}"...), ErrCorrupt, "", "only 2 bytes follow"},
	{"length over the limit", append(binary.LittleEndian.AppendUint64(nil, 100_000_001), "{}"...), ErrCorrupt, "", "over the limit"},
	{"length of 2^64-1", append(binary.LittleEndian.AppendUint64(nil, ^uint64(0)), "{}"...), ErrCorrupt, "", "over the limit"},
	{"length zero", image("", 0), ErrCorrupt, "", "does not start with '{'"},
	{"array", image("[]", 0), ErrCorrupt, "", "does not start with '{'"},
	{"cut JSON", image(`{"a":{"dtype":"U8"`, 0), ErrCorrupt, "a", "not valid JSON"},
	{"no JSON", image("{nonsense}", 0), ErrCorrupt, "", "not valid JSON"},
	{"second object", image(`{}{}`, 0), ErrCorrupt, "", "after its closing brace"},
	{"zero padding", image("{}\x00\x00", 0), ErrCorrupt, "", "after its closing brace"},
	{"invalid UTF-8", image("{\"\xff\":"+u8at+"}", 2), ErrCorrupt, "", "UTF-8"},
	{"tensor twice", image(`{"a":`+u8at+`,"a":`+u8b+`}`, 4), ErrCorrupt, "a", "belong to no tensor"},
	{"tensor twice by escape", image(`{"a":`+u8at+`,"\u0061":`+u8b+`}`, 4), ErrCorrupt, "a", "belong to no tensor"},
	{"metadata twice", image(`{"__metadata__":{},"__metadata__":{}}`, 0), ErrCorrupt, "__metadata__", "twice"},
	{"tensor is a number", image(`{"a":1}`, 0), ErrCorrupt, "a", "where an object belongs"},
	{"metadata is a list", image(`{"__metadata__":[]}`, 0), ErrCorrupt, "", "where an object belongs"},
	{"metadata number", image(`{"__metadata__":{"k":1}}`, 0), ErrCorrupt, "", "not a string"},
	{"metadata nested", image(`{"__metadata__":{"k":{}}}`, 0), ErrCorrupt, "", "not a string"},
	{"dtype missing", image(`{"a":{"shape":[0],"data_offsets":[0,0]}}`, 0), ErrCorrupt, "a", `"dtype" is missing`},
	{"shape missing", image(`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1), ErrCorrupt, "a", `"shape" is missing`},
	{"offsets missing", image(`{"a":{"dtype":"U8","shape":[0]}}`, 0), ErrCorrupt, "a", `"data_offsets" is missing`},
	{"key in another case", image(`{"a":{"DType":"U8","shape":[2],"data_offsets":[0,2]}}`, 2), ErrCorrupt, "a", `"dtype" is missing`},
	{"half a byte", oneTensor(`"F4"`, "[3]", "[0,1]", 1), ErrCorrupt, "a", "whole byte"},
	{"nested and cut", image(`{"a":{"dtype":"U8","x":[[{`, 0), ErrCorrupt, "a", "not valid JSON"},
	{"size of F8 too small", oneTensor(`"F8_E4M3"`, "[2]", "[0,1]", 1), ErrCorrupt, "a", "takes 2"},
	{"shape twice", image(`{"a":{"dtype":"U8","shape":[2],"shape":[4],"data_offsets":[0,2]}}`, 4), ErrCorrupt, "a", "twice"},
	{"dtype number", oneTensor("5", "[2]", "[0,2]", 2), ErrCorrupt, "a", "dtype is not a string"},
	{"shape negative", oneTensor(`"U8"`, "[-2]", "[0,2]", 2), ErrCorrupt, "a", "-2"},
	{"shape float", oneTensor(`"U8"`, "[2.0]", "[0,2]", 2), ErrCorrupt, "a", "2.0"},
	{"shape exponent", oneTensor(`"U8"`, "[2e0]", "[0,2]", 2), ErrCorrupt, "a", "2e0"},
	{"shape over 63 bits", oneTensor(`"U8"`, "[9223372036854775808]", "[0,2]", 2), ErrCorrupt, "a", "2^63"},
	{"shape text", oneTensor(`"U8"`, `["2"]`, "[0,2]", 2), ErrCorrupt, "a", "where a number belongs"},
	{"shape nested", oneTensor(`"U8"`, `[[2]]`, "[0,2]", 2), ErrCorrupt, "a", "where a number belongs"},
	{"shape scalar", oneTensor(`"U8"`, `2`, "[0,2]", 2), ErrCorrupt, "a", "not an array"},
	{"elements overflow", oneTensor(`"U8"`, "[4294967296,4294967296]", "[0,0]", 0), ErrCorrupt, "a", "more elements"},
	{"overflow then zero", oneTensor(`"U8"`, "[4294967296,4294967296,0]", "[0,0]", 0), ErrCorrupt, "a", "more elements"},
	{"bytes overflow", oneTensor(`"F64"`, "[2305843009213693952]", "[0,0]", 0), ErrCorrupt, "a", "more bytes"},
	{"one offset", oneTensor(`"U8"`, "[2]", "[0]", 2), ErrCorrupt, "a", "not 2"},
	{"three offsets", oneTensor(`"U8"`, "[2]", "[0,2,4]", 2), ErrCorrupt, "a", "not 2"},
	{"negative offset", oneTensor(`"U8"`, "[2]", "[-2,0]", 2), ErrCorrupt, "a", "-2"},
	{"offset past the file", oneTensor(`"U8"`, "[3]", "[0,3]", 2), ErrCorrupt, "a", "leave the file's 2 data bytes"},
	{"offset of 2^63-1", oneTensor(`"U8"`, "[2]", "[9223372036854775805,9223372036854775807]", 2), ErrCorrupt, "a", "leave the file"},
	{"end before begin", oneTensor(`"U8"`, "[2]", "[2,0]", 2), ErrCorrupt, "a", "before they begin"},
	{"size too small", oneTensor(`"F32"`, "[2]", "[0,4]", 4), ErrCorrupt, "a", "takes 8"},
	{"size too large", oneTensor(`"F32"`, "[1]", "[0,8]", 8), ErrCorrupt, "a", "takes 4"},
	{"overlap", image(`{"a":`+u8at+`,"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), ErrCorrupt, "b", `overlaps tensor "a"`},
	{"same bytes twice", image(`{"a":`+u8at+`,"b":`+u8at+`}`, 2), ErrCorrupt, "b", "overlaps"},
	{"empty tensor inside another", image(`{"a":`+u8at+`,"b":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}`, 2), ErrCorrupt, "b", "overlaps"},
	{"hole at the start", oneTensor(`"U8"`, "[2]", "[1,3]", 3), ErrCorrupt, "a", "belong to no tensor"},
	{"hole between", image(`{"a":`+u8at+`,"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}`, 4), ErrCorrupt, "b", "bytes 2 to 3"},
	{"trailing bytes", oneTensor(`"U8"`, "[2]", "[0,2]", 5), ErrCorrupt, "", "3 trailing bytes"},
	{"trailing bytes, no tensor", image("{}", 1), ErrCorrupt, "", "1 trailing bytes"},
	{"long name is cut", image(`{"`+strings.Repeat("n", 5000)+`":1}`, 0), ErrCorrupt, strings.Repeat("n", 5000), "object"},
}

func TestBadFiles(t *testing.T) {
	for _, c := range badFiles {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.safetensors")
			require.NoError(t, os.WriteFile(path, c.data, 0o600))
			f, err := Open(path)
			require.Nil(t, f)
			require.ErrorIs(t, err, c.sentinel)
			var typed *Error
			require.ErrorAs(t, err, &typed)
			assert.Equal(t, path, typed.File)
			assert.Equal(t, c.tensor, typed.Tensor)
			assert.Contains(t, typed.Reason, c.reason)
			assert.Contains(t, err.Error(), path)
			assert.Less(t, len(err.Error()), 1000)
		})
	}
}

func TestOpenOtherThings(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Open(t.TempDir())
	require.ErrorIs(t, err, ErrCorrupt)
}

func TestGoodFiles(t *testing.T) {
	cases := []struct {
		name  string
		data  []byte
		names []string
	}{
		{"no tensors", image("{}", 0), []string{}},
		{"padded", image("{}      ", 0), []string{}},
		{"scalar", oneTensor(`"F32"`, "[]", "[0,4]", 4), []string{"a"}},
		{"header order is not file order", image(`{"b":`+u8b+`,"a":`+u8at+`}`, 4), []string{"a", "b"}},
		{"empty tensors share a place", image(`{"z":{"dtype":"F64","shape":[0,3],"data_offsets":[2,2]},"a":`+u8at+`,"b":`+u8b+`}`, 4), []string{"a", "z", "b"}},
		{"white space in JSON", image("{ \"a\" :\n"+u8at+" }\n", 2), []string{"a"}},
		{"a name like a path", image(`{"../../etc/\u00e9":`+u8at+`}`, 2), []string{"../../etc/é"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "good.safetensors")
			require.NoError(t, os.WriteFile(path, c.data, 0o600))
			f, err := Open(path)
			require.NoError(t, err)
			assert.Equal(t, c.names, f.Names())
			assert.Equal(t, int64(len(c.data)), f.Info().Size())
			require.NoError(t, f.Close())
		})
	}
}

func TestViewsAndClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(path, image(`{"__metadata__":{"format":"pt"},"a":`+u8at+`,"b":`+u8b+`}`, 4), 0o600))
	f, err := Open(path)
	require.NoError(t, err)
	assert.Equal(t, path, f.Path())
	assert.Equal(t, map[string]string{"format": "pt"}, f.Metadata())
	b, ok := f.Tensor("b")
	require.True(t, ok)
	want := Tensor{DType: U8, Shape: []int64{2}, Data: []byte{2, 3}, name: "b"}
	if memory.FilesAreMapped {
		want.File = path
	}
	assert.Equal(t, want, b)
	assert.Equal(t, 2, cap(b.Data), "append must not reach the next tensor")
	b.Shape[0] = 99
	again, _ := f.Tensor("b")
	assert.Equal(t, []int64{2}, again.Shape, "a caller cannot change the file's shapes")
	_, ok = f.Tensor("c")
	assert.False(t, ok)
	require.NoError(t, f.Close())
	require.NoError(t, f.Close())
	_, ok = f.Tensor("b")
	assert.False(t, ok)
	assert.Nil(t, f.Header())
}
