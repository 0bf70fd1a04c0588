package plan

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Attr is one attribute of an operator: a name and exactly one value. Int also
// carries booleans, as 0 or 1.
type Attr struct {
	Key  string
	Kind AttrKind
	Int  int64
	F64  float64
	Str  string
	Ints []int64
	Dims []Dim
}

// AttrKind says which field of an [Attr] holds its value.
type AttrKind uint8

// The kinds of attribute values.
const (
	AttrInt AttrKind = iota + 1
	AttrFloat
	AttrString
	AttrInts
	AttrDims
)

// Attrs are the attributes of one operator, sorted by key.
type Attrs []Attr

// Value is the attribute's value: int64, float64, string, []int64 or []Dim.
func (a Attr) Value() any {
	switch a.Kind {
	case AttrInt:
		return a.Int
	case AttrFloat:
		return a.F64
	case AttrString:
		return a.Str
	case AttrInts:
		return a.Ints
	case AttrDims:
		return a.Dims
	}
	return nil
}

// MarshalJSON writes an object with a member for each attribute, for people;
// [Plan.Encode] is the encoding to read back.
func (a Attrs) MarshalJSON() ([]byte, error) {
	m := make(map[string]any, len(a))
	for _, x := range a {
		m[x.Key] = x.Value()
	}
	return json.Marshal(m)
}

// Int makes an integer attribute.
func Int(key string, v int) Attr { return Attr{Key: key, Kind: AttrInt, Int: int64(v)} }

// BoolAttr makes a boolean attribute, an integer 0 or 1.
func BoolAttr(key string, v bool) Attr {
	if v {
		return Int(key, 1)
	}
	return Int(key, 0)
}

// Float makes a floating-point attribute.
func Float(key string, v float64) Attr { return Attr{Key: key, Kind: AttrFloat, F64: v} }

// Str makes a string attribute.
func Str(key, v string) Attr { return Attr{Key: key, Kind: AttrString, Str: v} }

// Ints makes an attribute that is a list of integers.
func Ints(key string, v []int) Attr {
	w := make([]int64, len(v))
	for i, x := range v {
		w[i] = int64(x)
	}
	return Attr{Key: key, Kind: AttrInts, Ints: w}
}

// Dims makes an attribute that is a list of dimensions.
func Dims(key string, v ...Dim) Attr { return Attr{Key: key, Kind: AttrDims, Dims: v} }

// Key is a lossless text form. Two attribute lists have the same key exactly
// when they are equal, with floats compared by their bits.
func (a Attrs) Key() string {
	var b strings.Builder
	for _, x := range a {
		b.WriteString(strconv.Quote(x.Key))
		b.WriteByte('=')
		switch x.Kind {
		case AttrInt:
			b.WriteByte('i')
			b.WriteString(strconv.FormatInt(x.Int, 10))
		case AttrFloat:
			b.WriteByte('f')
			b.WriteString(strconv.FormatUint(math.Float64bits(x.F64), 16))
		case AttrString:
			b.WriteString(strconv.Quote(x.Str))
		case AttrInts:
			fmt.Fprint(&b, x.Ints)
		case AttrDims:
			b.WriteString(Shape(x.Dims).String())
		}
		b.WriteByte(';')
	}
	return b.String()
}

// AttrReader takes attributes one by one and remembers the first error.
// [AttrReader.Done] reports it, and any attribute that was not taken.
type AttrReader struct {
	op   string
	rest Attrs
	err  error
}

// Read starts reading the attributes of operator op.
func (a Attrs) Read(op string) *AttrReader {
	return &AttrReader{op: op, rest: slices.Clone(a)}
}

func (r *AttrReader) take(key string, kind AttrKind) Attr {
	for i, x := range r.rest {
		if x.Key != key {
			continue
		}
		r.rest = slices.Delete(r.rest, i, i+1)
		if x.Kind != kind {
			r.failf("attribute %q has the wrong kind", key)
			return Attr{}
		}
		return x
	}
	r.failf("attribute %q is missing", key)
	return Attr{}
}

func (r *AttrReader) failf(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: operator %q: "+format, append([]any{ErrInvalid, r.op}, args...)...)
	}
}

// Has reports whether there is an attribute that was not yet taken.
func (r *AttrReader) Has(key string) bool {
	return slices.ContainsFunc(r.rest, func(a Attr) bool { return a.Key == key })
}

// Int takes a required integer.
func (r *AttrReader) Int(key string) int {
	x := r.take(key, AttrInt)
	return int(x.Int)
}

// Bool takes a required boolean.
func (r *AttrReader) Bool(key string) bool {
	x := r.take(key, AttrInt)
	if x.Int != 0 && x.Int != 1 {
		r.failf("attribute %q is not a boolean", key)
	}
	return x.Int == 1
}

// Float takes a required float.
func (r *AttrReader) Float(key string) float64 {
	x := r.take(key, AttrFloat)
	return x.F64
}

// Str takes a required string.
func (r *AttrReader) Str(key string) string {
	x := r.take(key, AttrString)
	return x.Str
}

// Ints takes a required list of integers.
func (r *AttrReader) Ints(key string) []int {
	x := r.take(key, AttrInts)
	v := make([]int, len(x.Ints))
	for i, n := range x.Ints {
		v[i] = int(n)
	}
	return v
}

// Dims takes a required list of dimensions.
func (r *AttrReader) Dims(key string) []Dim {
	x := r.take(key, AttrDims)
	return x.Dims
}

// Dim takes a required single dimension.
func (r *AttrReader) Dim(key string) Dim {
	d := r.Dims(key)
	if len(d) != 1 {
		r.failf("attribute %q is not one dimension", key)
		return Dim{}
	}
	return d[0]
}

// Done reports the first error, or an attribute that the operator does not
// have.
func (r *AttrReader) Done() error {
	if r.err == nil && len(r.rest) > 0 {
		r.failf("unknown attribute %q", r.rest[0].Key)
	}
	return r.err
}
