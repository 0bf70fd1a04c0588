package onnxfile

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Tensor is a TensorProto. Its content is a view of the file, or in a file of
// external data; [File.Content] reads it.
type Tensor struct {
	Name string
	Type DataType
	Dims []int64

	home     view     // the file that raw and packed are parts of
	raw      []byte   // raw_data
	hasRaw   bool     // even if it is empty
	packed   [][]byte // typed data as the wire has it: fixed-width fields, or varints
	field    int      // number of the field of typed data
	external *external
	strings  int // elements of string_data
	segment  bool
}

// external is where the content of a tensor is outside of the model's file.
type external struct {
	location       string
	offset, length int64 // length -1: to where the shape ends
}

func (d *decoder) tensor(v field) (*Tensor, error) {
	if err := d.message(v, "tensor"); err != nil {
		return nil, err
	}
	t := &Tensor{home: d.home}
	var location int64
	var entries [][2]string
	err := d.fields(v.bytes, "tensor", func(v field) error {
		switch v.num {
		case 1:
			return d.integers(v, "dimensions", &t.Dims)
		case 2:
			var e int64
			err := d.integer(v, "tensor", &e)
			t.Type = DataType(e)
			return err
		case 3:
			t.segment = true
		case 4, 5, 7, 10, 11:
			return d.typed(t, v)
		case 6:
			t.strings++
			return d.count(1)
		case 8:
			return d.name(v, "tensor", &t.Name)
		case 9:
			if v.typ != protowire.BytesType {
				return malformed("tensor %q: raw data is no bytes", t.Name)
			}
			t.raw, t.hasRaw = v.bytes, true
		case 13:
			var e [2]string
			err := d.entry(v, &e)
			entries = append(entries, e)
			return err
		case 14:
			return d.integer(v, "tensor", &location)
		}
		return nil
	})
	if err == nil && location == 1 {
		t.external, err = parseExternal(t.Name, entries)
	}
	if err == nil && len(t.Dims) > MaxRank {
		err = malformed("tensor %q has %d dimensions, the limit is %d", t.Name, len(t.Dims), MaxRank)
	}
	return t, err
}

// typed notes a piece of float_data, int32_data, int64_data, double_data or
// uint64_data without reading it.
func (d *decoder) typed(t *Tensor, v field) error {
	if t.field != 0 && t.field != v.num {
		return malformed("tensor %q has data of two types", t.Name)
	}
	t.field = v.num
	if err := d.count(1); err != nil {
		return err
	}
	switch b := v.bytes; v.typ {
	case protowire.Fixed32Type:
		t.packed = append(t.packed, binary.LittleEndian.AppendUint32(nil, uint32(v.n)))
	case protowire.Fixed64Type:
		t.packed = append(t.packed, binary.LittleEndian.AppendUint64(nil, v.n))
	case protowire.VarintType:
		t.packed = append(t.packed, protowire.AppendVarint(nil, v.n))
	default:
		t.packed = append(t.packed, b)
	}
	return nil
}

func (d *decoder) entry(v field, e *[2]string) error {
	if err := d.message(v, "external data"); err != nil {
		return err
	}
	return d.fields(v.bytes, "external data", func(v field) error {
		if v.num == 1 || v.num == 2 {
			return d.name(v, "external data", &e[v.num-1])
		}
		return nil
	})
}

// Elements is the number of elements that the dimensions say, at most what fits
// the memory of a machine.
func (t *Tensor) Elements() (int64, error) {
	n := int64(1)
	for _, d := range t.Dims {
		if d < 0 || d > 0 && n > math.MaxInt64/16/d {
			return 0, malformed("tensor %q has shape %d", t.Name, t.Dims)
		}
		n *= d
	}
	return n, nil
}

// bytes is the content that the file itself has, little endian and row major.
func (t *Tensor) bytes() ([]byte, error) {
	n, err := t.Elements()
	if err != nil {
		return nil, err
	}
	size := int64(t.Type.Size())
	switch {
	case size == 0:
		return nil, malformed("tensor %q: the content of %v is not read", t.Name, t.Type)
	case t.segment:
		return nil, malformed("tensor %q is a segment of another", t.Name)
	case t.hasRaw:
		if int64(len(t.raw)) != n*size || t.field != 0 {
			return nil, malformed("tensor %q has %d bytes of data for %v%d", t.Name, len(t.raw), t.Type, t.Dims)
		}
		return t.raw, nil
	case t.fixedWidth():
		return t.fixed(int(n * size))
	}
	return t.varints(n)
}

// fixedWidth reports whether the typed data is already what it means.
func (t *Tensor) fixedWidth() bool {
	return t.field == 4 && (t.Type == Float || t.Type == Complex64) || t.field == 10 && (t.Type == Double || t.Type == Complex128)
}

func (t *Tensor) fixed(want int) ([]byte, error) {
	if len(t.packed) == 1 && len(t.packed[0]) == want {
		return t.packed[0], nil
	}
	have := 0
	for _, p := range t.packed {
		have += len(p)
	}
	if have != want {
		return nil, malformed("tensor %q has %d bytes of data for %v%d", t.Name, have, t.Type, t.Dims)
	}
	out := make([]byte, 0, want)
	for _, p := range t.packed {
		out = append(out, p...)
	}
	return out, nil
}

// varints decodes int32_data, int64_data or uint64_data. An element takes at least
// a byte of the file, so memory is bounded by its size.
func (t *Tensor) varints(n int64) ([]byte, error) {
	fits := t.Type == Int64 && t.field == 7 || (t.Type == Uint32 || t.Type == Uint64) && t.field == 11
	switch t.Type {
	case Int32, Int16, Int8, Uint16, Uint8, Bool, Float16, BFloat16:
		fits = t.field == 5
	default:
	}
	have := int64(0)
	for _, p := range t.packed {
		have += int64(len(p))
	}
	if n == 0 && have == 0 {
		return []byte{}, nil
	}
	if !fits || n > have {
		return nil, malformed("tensor %q has %d bytes of data for %v%d", t.Name, have, t.Type, t.Dims)
	}
	size := t.Type.Size()
	out, left := make([]byte, 0, int(n)*size), n
	for _, p := range t.packed {
		for len(p) > 0 {
			x, k := protowire.ConsumeVarint(p)
			if k < 0 || left == 0 {
				return nil, malformed("tensor %q has other data than %v%d", t.Name, t.Type, t.Dims)
			}
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], x)
			out, p, left = append(out, b[:size]...), p[k:], left-1
		}
	}
	if left != 0 {
		return nil, malformed("tensor %q lacks %d elements of %v%d", t.Name, left, t.Type, t.Dims)
	}
	return out, nil
}
