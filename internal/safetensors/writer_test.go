package safetensors

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/zeebo/blake3"

	"github.com/genie-sdk/go/internal/benchname"
)

var allDTypes = []DType{F64, I64, U64, F32, I32, U32, F16, BF16, I16, U16, I8, U8, BOOL}

func TestRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 20 {
		path := filepath.Join(t.TempDir(), "round.safetensors")
		var entries []Entry
		var data [][]byte
		for i, d := range allDTypes {
			shape := make([]int64, rng.IntN(4))
			for j := range shape {
				shape[j] = rng.Int64N(5)
			}
			e := Entry{Name: string(d) + "." + string(rune('à'+i)) + `"<`, DType: d, Shape: shape}
			size, err := e.Bytes()
			require.NoError(t, err)
			content := make([]byte, size)
			for j := range content {
				content[j] = byte(rng.Uint32())
			}
			entries, data = append(entries, e), append(data, content)
		}
		meta := map[string]string{"format": "pt", "b": "<&>", "a": ""}
		w, err := Create(path, entries, meta)
		require.NoError(t, err)
		for i, e := range entries {
			require.NoError(t, w.Begin(e.Name))
			half := len(data[i]) / 2
			for _, part := range [][]byte{data[i][:half], nil, data[i][half:]} {
				n, err := w.Write(part)
				require.NoError(t, err)
				require.Len(t, part, n)
			}
		}
		require.NoError(t, w.Close())
		require.NoError(t, w.Close())
		require.NoError(t, w.Abort(), "an abort after the close does nothing")

		f, err := Open(path)
		require.NoError(t, err, "round %d", round)
		assert.Equal(t, meta, f.Metadata())
		for i, e := range entries {
			got, ok := f.Tensor(e.Name)
			require.True(t, ok)
			assert.Equal(t, e.DType, got.DType)
			assert.Equal(t, e.Shape, got.Shape)
			assert.Equal(t, data[i], append([]byte{}, got.Data...))
		}
		assert.Zero(t, (lengthBytes+len(f.Header()))%8)
		require.NoError(t, f.Close())
	}
}

// The layout is part of the contract: a checkpoint made from a seed has to
// have the same bytes everywhere.
func TestHeaderGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	w, err := Create(path, []Entry{{"w", F32, []int64{1, 2}}, {"s", U8, nil}}, map[string]string{"format": "pt"})
	require.NoError(t, err)
	require.NoError(t, w.Begin("w"))
	_, err = w.Write(make([]byte, 8))
	require.NoError(t, err)
	require.NoError(t, w.Begin("s"))
	_, err = w.Write([]byte{7})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	head := `{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"s":{"dtype":"U8","shape":[],"data_offsets":[8,9]}}      `
	require.Equal(t, uint64(len(head)), binary.LittleEndian.Uint64(got))
	assert.Equal(t, head, string(got[8:8+len(head)]))
	sum := blake3.Sum256(got)
	assert.Equal(t, "f9508993abcda18bc775087b126f6d1538d56e809a79b71abccdd7d443b35382", hex.EncodeToString(sum[:]))
}

func TestCreateRefuses(t *testing.T) {
	cases := []struct {
		name     string
		entries  []Entry
		meta     map[string]string
		sentinel error
		reason   string
	}{
		{"no name", []Entry{{"", U8, nil}}, nil, ErrCorrupt, "name is empty"},
		{"reserved name", []Entry{{"__metadata__", U8, nil}}, nil, ErrCorrupt, "reserved"},
		{"name not UTF-8", []Entry{{"\xff", U8, nil}}, nil, ErrCorrupt, "UTF-8"},
		{"name twice", []Entry{{"a", U8, nil}, {"a", U8, nil}}, nil, ErrCorrupt, "twice"},
		{"unknown dtype", []Entry{{"a", "F8", nil}}, nil, ErrUnsupported, "F8"},
		{"negative", []Entry{{"a", U8, []int64{-1}}}, nil, ErrCorrupt, "negative"},
		{"overflow", []Entry{{"a", F64, []int64{1 << 61}}}, nil, ErrCorrupt, "more bytes"},
		{"sum overflows", []Entry{{"a", F64, []int64{1<<60 - 1}}, {"b", F64, []int64{1}}}, nil, ErrCorrupt, "more bytes"},
		{"misaligned", []Entry{{"a", U8, []int64{3}}, {"b", F32, nil}}, nil, ErrCorrupt, "wider types first"},
		{"metadata not UTF-8", nil, map[string]string{"\xff": ""}, ErrCorrupt, "UTF-8"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			w, err := Create(filepath.Join(dir, "x"), c.entries, c.meta)
			require.Nil(t, w)
			require.ErrorIs(t, err, c.sentinel)
			require.ErrorContains(t, err, c.reason)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestWriterMisuse(t *testing.T) {
	entries := []Entry{{"a", U8, []int64{4}}, {"b", U8, []int64{2}}}
	cases := []struct {
		name   string
		use    func(w *Writer) error
		reason string
	}{
		{"nothing written", func(*Writer) error { return nil }, `tensor "a": was never written`},
		{"data before Begin", func(w *Writer) error { _, err := w.Write([]byte{1}); return err }, "before the first Begin"},
		{"wrong order", func(w *Writer) error { return w.Begin("b") }, `the next is "a"`},
		{"too short", func(w *Writer) error {
			_ = w.Begin("a")
			_, _ = w.Write([]byte{1})
			return w.Begin("b")
		}, `tensor "a": 3 bytes are missing`},
		{"too short at the end", func(w *Writer) error {
			_ = w.Begin("a")
			_, err := w.Write([]byte{1})
			return err
		}, `tensor "a": 3 bytes are missing`},
		{"too long", func(w *Writer) error {
			_ = w.Begin("a")
			_, err := w.Write(make([]byte, 5))
			return err
		}, "5 bytes of data where 4 are left"},
		{"past the end", func(w *Writer) error {
			_ = w.Begin("a")
			_, _ = w.Write(make([]byte, 4))
			_ = w.Begin("b")
			_, _ = w.Write(make([]byte, 2))
			return w.Begin("c")
		}, "after the last tensor"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			w, err := Create(filepath.Join(dir, "x"), entries, nil)
			require.NoError(t, err)
			if err := c.use(w); err != nil {
				require.ErrorIs(t, err, ErrWrite)
			}
			err = w.Close()
			require.ErrorIs(t, err, ErrWrite)
			require.ErrorContains(t, err, c.reason)
			require.NoError(t, w.Close())
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left, "neither the file nor its temporary stays")
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x")
	var entries []Entry
	for i := range 148 { // as many tensors as GPT-2 small has
		entries = append(entries, Entry{"transformer.h." + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".weight", F32, []int64{0, 768}})
	}
	w, err := Create(path, entries, nil)
	require.NoError(b, err)
	require.NoError(b, w.Close())
	b.Run(benchname.Of("safetensors-open", "genie"), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f, err := Open(path)
			if err != nil {
				b.Fatal(err)
			}
			_ = f.Close()
		}
	})
}
