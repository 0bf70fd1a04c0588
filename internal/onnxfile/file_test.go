package onnxfile_test

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/genie-sdk/go/internal/onnxfile"
	. "github.com/genie-sdk/go/internal/onnxfile/onnxtest" //nolint:revive // the words that models are written in
)

func TestReadModel(t *testing.T) {
	m := append(Model(17,
		Input("x", 1, "batch", 3, nil), Output("y", 1, "batch", 3, nil),
		Initializer(Tensor("w", 1, []int{2}, Floats(1, 2))),
		Node("Add", []string{"x", ""}, []string{"y"}, AttrInts("axes", 1, -2), AttrFloat("alpha", 0.5), AttrText("mode", "up"), Domain("ai.onnx")),
	), Message(Opset("com.example", 3), Function("com.example", "f", []string{"a"}, []string{"b"}, FunctionNode("Relu", []string{"a"}, []string{"b"})))...)
	f, err := onnxfile.Read(m)
	require.NoError(t, err)
	g := f.Model.Graph
	require.Equal(t, int64(17), f.Model.Opset("ai.onnx"))
	require.Equal(t, int64(3), f.Model.Opset("com.example"))
	n := g.Nodes[0]
	require.Equal(t, []string{"x", ""}, n.Inputs)
	require.Empty(t, n.Domain, "the standard domain has one name")
	require.Equal(t, []int64{1, -2}, n.Attrs[0].Ints)
	require.InDelta(t, 0.5, n.Attrs[1].F, 0)
	require.Equal(t, "up", n.Attrs[2].S)
	require.Equal(t, onnxfile.Dim{Param: "batch"}, g.Inputs[0].Type.Dims[0])
	require.Equal(t, onnxfile.Dim{Size: 3, Known: true}, g.Inputs[0].Type.Dims[1])
	require.Equal(t, onnxfile.Dim{}, g.Inputs[0].Type.Dims[2])
	c, err := f.Content(g.Initializers[0])
	require.NoError(t, err)
	require.Equal(t, Floats(1, 2), c.Data)
	require.NotNil(t, f.Model.Function(&onnxfile.Node{OpType: "f", Domain: "com.example"}))
	require.Nil(t, f.Model.Function(n))
}

// TestTypedData reads what older exporters write in place of raw data.
func TestTypedData(t *testing.T) {
	packed := func(v ...int64) []byte {
		var b []byte
		for _, n := range v {
			b = protowire.AppendVarint(b, uint64(n))
		}
		return b
	}
	tests := []struct {
		name   string
		fields []Field
		want   []byte
		err    string
	}{
		{"packed floats", []Field{Int(2, 1), Int(1, 2), Bytes(4, Floats(1, 2))}, Floats(1, 2), ""},
		{"floats one by one", []Field{Int(2, 1), Int(1, 2), Float(4, 1), Float(4, 2)}, Floats(1, 2), ""},
		{"int64", []Field{Int(2, 7), Int(1, 2), Bytes(7, packed(-1, 3))}, Ints(-1, 3), ""},
		{"bool", []Field{Int(2, 9), Int(1, 2), Bytes(5, packed(1, 0))}, []byte{1, 0}, ""},
		{"float16 as int32", []Field{Int(2, 10), Int(1, 1), Bytes(5, packed(0x3c00))}, []byte{0, 0x3c}, ""},
		{"empty", []Field{Int(2, 7), Int(1, 0)}, []byte{}, ""},
		{"too few", []Field{Int(2, 7), Int(1, 3), Bytes(7, packed(300, 300))}, nil, "lacks 1"},
		{"too many", []Field{Int(2, 7), Int(1, 1), Bytes(7, packed(1, 2))}, nil, "other data"},
		{"of another type", []Field{Int(2, 7), Int(1, 1), Bytes(5, packed(1))}, nil, "1 bytes of data"},
		{"two kinds", []Field{Int(2, 7), Int(1, 1), Bytes(5, packed(1)), Bytes(7, packed(1))}, nil, "two types"},
		{"a shape beyond memory", []Field{Int(2, 1), Int(1, math.MaxInt64), Int(1, 4), Bytes(9, nil)}, nil, "shape"},
		{"a negative size", []Field{Int(2, 1), Int(1, -1), Bytes(9, nil)}, nil, "shape"},
		{"raw of another size", []Field{Int(2, 1), Int(1, 3), Bytes(9, Floats(1))}, nil, "4 bytes of data"},
		{"text", []Field{Int(2, 8), Int(1, 1), Text(6, "a")}, nil, "string is not read"},
		{"a segment", []Field{Int(2, 1), Int(1, 1), Bytes(3, nil), Bytes(9, Floats(1))}, nil, "segment"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := onnxfile.Read(Model(13, Initializer(Message(tt.fields...))))
			var c onnxfile.Content
			if err == nil {
				c, err = f.Content(f.Model.Graph.Initializers[0])
			}
			if tt.err == "" {
				require.NoError(t, err)
				require.Equal(t, tt.want, c.Data)
				return
			}
			require.ErrorIs(t, err, onnxfile.ErrMalformed)
			require.ErrorContains(t, err, tt.err)
		})
	}
}

func TestMalformed(t *testing.T) {
	deep := Message()
	for range onnxfile.MaxDepth + 2 {
		deep = Message(Bytes(1, Message(Text(4, "If"), Bytes(5, Message(Text(1, "g"), Bytes(6, deep))))))
	}
	tests := []struct {
		name, want string
		data       []byte
	}{
		{"empty", "no ONNX model", nil},
		{"an image", "cut short", []byte("\x89PNG\r\n\x1a\n")},
		{"no graph", "no graph", Message(Int(1, 8))},
		{"cut short", "cut short", Model(13, Node("Relu", nil, nil))[:9]},
		{"two graphs", "two graphs", append(Model(13), Model(13)...)},
		{"nested too deep", "nested", Message(Bytes(7, deep))},
		{"a long name", "the limit is", Model(13, Node(strings.Repeat("x", onnxfile.MaxNameBytes+1), nil, nil))},
		{"a name that is no text", "UTF-8", Model(13, Node("\xff", nil, nil))},
		{"a list of half a float", "list of floats", Model(13, Node("Relu", nil, nil, Bytes(5, Bytes(7, []byte{1, 2, 3}))))},
		{"more nodes than the limit", "more than", Model(13, Field(strings.Repeat(string(Bytes(1, nil)), onnxfile.MaxMessages+1)))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := onnxfile.Read(tt.data)
			require.ErrorIs(t, err, onnxfile.ErrMalformed)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// TestExternalData reads content beside the model, and nothing outside its folder.
func TestExternalData(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "model")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o750))
	write := func(path string, b []byte) { require.NoError(t, os.WriteFile(path, b, 0o600)) }
	write(filepath.Join(dir, "w.bin"), Floats(1, 2, 3))
	write(filepath.Join(dir, "sub", "w.bin"), Floats(4))
	write(filepath.Join(outside, "secret"), Floats(5))
	require.NoError(t, os.Symlink(filepath.Join("..", "secret"), filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("w.bin", filepath.Join(dir, "inside")))
	tests := []struct {
		name, err string
		dims      []int
		entries   []string
		want      []byte
	}{
		{"whole", "", []int{3}, []string{"location", "w.bin"}, Floats(1, 2, 3)},
		{"part", "", []int{2}, []string{"location", "w.bin", "offset", "4", "length", "8"}, Floats(2, 3)},
		{"in a folder", "", []int{1}, []string{"location", "sub/w.bin"}, Floats(4)},
		{"a link that stays", "", []int{3}, []string{"location", "inside"}, Floats(1, 2, 3)},
		{"a link out", "escapes", []int{1}, []string{"location", "link"}, nil},
		{"a path out", "not inside", []int{1}, []string{"location", "../secret"}, nil},
		{"an absolute path", "not inside", []int{1}, []string{"location", filepath.Join(outside, "secret")}, nil},
		{"out and in", "not inside", []int{1}, []string{"location", "sub/../../secret"}, nil},
		{"a folder", "regular file", []int{1}, []string{"location", "sub"}, nil},
		{"behind the end", "has 12 bytes", []int{4}, []string{"location", "w.bin"}, nil},
		{"an offset that overflows", "has 12 bytes", []int{1}, []string{"location", "w.bin", "offset", strconv.Itoa(math.MaxInt64)}, nil},
		{"a length that is not the shape's", "8 bytes", []int{1}, []string{"location", "w.bin", "length", "8"}, nil},
		{"a negative offset", "offset", []int{1}, []string{"location", "w.bin", "offset", "-4"}, nil},
		{"no location", "offset 0", []int{1}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, "m.onnx")
			write(path, Model(13, Initializer(External("w", 1, tt.dims, tt.entries...))))
			f, err := onnxfile.Open(path)
			var c onnxfile.Content
			if err == nil {
				defer func() { require.NoError(t, f.Close()) }()
				c, err = f.Content(f.Model.Graph.Initializers[0])
			}
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			got := make([]byte, len(c.Data))
			require.NoError(t, c.CopyTo(got))
			require.Equal(t, tt.want, got)
		})
	}
}

// TestTruncatedFile cuts a mapped model short: reading it is an error, not the end of
// the process.
func TestTruncatedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	m := Model(13, Initializer(Tensor("w", 1, []int{1 << 16}, make([]byte, 4<<16))))
	require.NoError(t, os.WriteFile(path, m, 0o600))
	f, err := onnxfile.Open(path)
	require.NoError(t, err)
	defer f.Close()
	c, err := f.Content(f.Model.Graph.Initializers[0])
	require.NoError(t, err)
	if c.File == "" {
		t.Skip("files are not mapped on this system")
	}
	require.NoError(t, os.Truncate(path, 100))
	require.ErrorIs(t, c.CopyTo(make([]byte, len(c.Data))), onnxfile.ErrMalformed)
}

func FuzzRead(f *testing.F) {
	f.Add(Model(13, Node("Relu", []string{"x"}, []string{"y"}), Input("x", 1, 2), Output("y", 1, 2)))
	f.Add(Model(17, Initializer(Tensor("w", 1, []int{2}, Floats(1, 2))), Initializer(External("e", 7, []int{1}, "location", "w"))))
	f.Add(Model(11, Node("If", nil, nil, AttrGraph("then_branch", Node("Relu", nil, nil)))))
	f.Add(Message(Function("d", "f", []string{"a"}, nil, FunctionNode("Relu", []string{"a"}, nil, AttrRef("alpha", 1, "beta")))))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := onnxfile.Read(b)
		if err != nil {
			require.ErrorIs(t, err, onnxfile.ErrMalformed)
			return
		}
		for _, x := range m.Model.Graph.Initializers {
			c, err := m.Content(x)
			if err != nil {
				require.ErrorIs(t, err, onnxfile.ErrMalformed)
				continue
			}
			n, err := x.Elements()
			require.NoError(t, err)
			require.Len(t, c.Data, int(n)*x.Type.Size())
		}
	})
}
