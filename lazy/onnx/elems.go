package onnx

import (
	"encoding/binary"
	"math"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/transport/plan"
)

// maxElems bounds the tensors that are evaluated element by element: shapes, axes
// and the like. Larger constants are computed by the program.
const (
	maxElems    = 1 << 11
	maxAllElems = 1 << 21 // of all values of a model
)

// elems is a tensor whose elements are known while the model is read: numbers, or
// sizes that the program's symbols give.
type elems struct {
	dt    onnxfile.DataType
	shape []int
	v     []scalar
}

// scalar is an element. A number that is whole is a constant dimension whatever the
// element type; booleans are 0 and 1.
type scalar struct {
	d   plan.Dim
	f   float64
	isF bool
}

func whole(n int64) scalar { return scalar{d: plan.C(int(n))} }

func truth(b bool) scalar {
	if b {
		return whole(1)
	}
	return whole(0)
}

// number is the scalar of a float. Zero has a sign, so that of -0 is kept.
func number(f float64) scalar {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 && (f != 0 || !math.Signbit(f)) {
		return whole(int64(f))
	}
	return scalar{f: f, isF: true}
}

// int is the value of a whole number without symbols.
func (s scalar) int() (int64, bool) {
	n, ok := s.d.Const()
	return int64(n), ok && !s.isF
}

// float is the value of a number without symbols.
func (s scalar) float() (float64, bool) {
	if s.isF {
		return s.f, true
	}
	n, ok := s.d.Const()
	return float64(n), ok
}

// bytes are the elements in the type that the program computes with.
func (e *elems) bytes(dt plan.DType) ([]byte, bool) {
	out := make([]byte, 0, len(e.v)*dt.Size())
	for _, s := range e.v {
		f, ok := s.float()
		if !ok {
			return nil, false
		}
		n, isInt := s.int()
		switch dt {
		case plan.F32:
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(f)))
			continue
		case plan.I32:
			out = binary.LittleEndian.AppendUint32(out, uint32(n))
		case plan.I64:
			out = binary.LittleEndian.AppendUint64(out, uint64(n))
		case plan.Bool:
			out = append(out, byte(n&1))
		default:
			return nil, false
		}
		if !isInt {
			return nil, false
		}
	}
	return out, true
}

// decodeElems reads little-endian elements of a type of the model.
func decodeElems(dt onnxfile.DataType, shape []int, b []byte) (*elems, bool) {
	size := dt.Size()
	n := count(shape)
	if size == 0 || n > maxElems || len(b) != n*size {
		return nil, false
	}
	e := &elems{dt: dt, shape: shape, v: make([]scalar, n)}
	for i := range e.v {
		s, ok := decodeScalar(dt, b[i*size:])
		if !ok {
			return nil, false
		}
		e.v[i] = s
	}
	return e, true
}

func decodeScalar(dt onnxfile.DataType, b []byte) (scalar, bool) {
	switch dt {
	case onnxfile.Int64:
		return whole(int64(binary.LittleEndian.Uint64(b))), true
	case onnxfile.Int32:
		return whole(int64(int32(binary.LittleEndian.Uint32(b)))), true
	case onnxfile.Uint32:
		return whole(int64(binary.LittleEndian.Uint32(b))), true
	case onnxfile.Int16:
		return whole(int64(int16(binary.LittleEndian.Uint16(b)))), true
	case onnxfile.Uint16:
		return whole(int64(binary.LittleEndian.Uint16(b))), true
	case onnxfile.Int8:
		return whole(int64(int8(b[0]))), true
	case onnxfile.Uint8:
		return whole(int64(b[0])), true
	case onnxfile.Bool:
		return truth(b[0] != 0), true
	case onnxfile.Float:
		return number(float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))), true
	case onnxfile.Double:
		return number(math.Float64frombits(binary.LittleEndian.Uint64(b))), true
	case onnxfile.BFloat16:
		return number(float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16))), true
	default:
		return scalar{}, false
	}
}

func count(shape []int) int {
	n := 1
	for _, d := range shape {
		if d != 0 && n > math.MaxInt/d {
			return math.MaxInt
		}
		n *= d
	}
	return n
}

// vector is a list of elements of rank 1.
func vector(dt onnxfile.DataType, v ...scalar) *elems {
	return &elems{dt: dt, shape: []int{len(v)}, v: v}
}
