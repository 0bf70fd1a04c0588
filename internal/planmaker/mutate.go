package planmaker

import (
	"math/rand/v2"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Sizes are those that a hostile peer binds: zero, small ones, those around the
// widths of integers and the largest dimension, and those that become negative
// as signed numbers.
var Sizes = []uint64{
	0, 1, 2, 3, 5, 8, 17, 1 << 16, 1<<31 - 1, 1 << 31, 1<<31 + 1, 1<<32 - 1, 1 << 32, 1 << 33, 1<<40 - 1, 1 << 40, 1<<40 + 1,
	1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 2, 1<<64 - 1,
}

// Mutate changes some fields of an encoded plan, anywhere in it. Bytes that are
// not a plan are returned with one byte changed.
func Mutate(r *rand.Rand, encoded []byte, changes int) []byte {
	typ, err := protoregistry.GlobalTypes.FindMessageByName("genie.plan.v1.Plan")
	if err != nil {
		return flip(r, encoded)
	}
	m := typ.New().Interface()
	if proto.Unmarshal(encoded, m) != nil {
		return flip(r, encoded)
	}
	for range changes {
		mutate(r, m.ProtoReflect())
	}
	out, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil { // an invalid string
		return flip(r, encoded)
	}
	if r.IntN(16) == 0 {
		return flip(r, out)
	}
	return out
}

func flip(r *rand.Rand, b []byte) []byte {
	out := append([]byte(nil), b...)
	if len(out) > 0 {
		out[r.IntN(len(out))] ^= 1 << r.IntN(8)
	}
	return out
}

// mutate changes one field of a message or of one below it, and reports whether
// there was one.
func mutate(r *rand.Rand, m protoreflect.Message) bool {
	fields := m.Descriptor().Fields()
	for range 20 {
		f := fields.Get(r.IntN(fields.Len()))
		switch {
		case f.IsMap():
		case f.IsList():
			if mutateList(r, m.Mutable(f).List(), f) {
				return true
			}
		case f.Message() != nil:
			if m.Has(f) && mutate(r, m.Mutable(f).Message()) {
				return true
			}
		default:
			m.Set(f, scalar(r, f, m.Get(f)))
			return true
		}
	}
	return false
}

func mutateList(r *rand.Rand, l protoreflect.List, f protoreflect.FieldDescriptor) bool {
	n := l.Len()
	if n == 0 {
		return false
	}
	i, j := r.IntN(n), r.IntN(n)
	switch k := r.IntN(10); {
	case k == 0:
		l.Truncate(n - 1)
	case k == 1:
		l.Append(clone(l.Get(i), f))
	case k == 2 && i != j:
		a, b := clone(l.Get(i), f), clone(l.Get(j), f)
		l.Set(i, b)
		l.Set(j, a)
	case f.Message() != nil:
		return mutate(r, l.Get(i).Message())
	default:
		l.Set(i, scalar(r, f, l.Get(i)))
	}
	return true
}

func clone(v protoreflect.Value, f protoreflect.FieldDescriptor) protoreflect.Value {
	if f.Message() == nil {
		return v
	}
	return protoreflect.ValueOfMessage(proto.Clone(v.Message().Interface()).ProtoReflect())
}

// words are possible contents of a plan's strings: sizes, operators and names.
var words = []string{
	"", "a", "b", "a-b", "a*b", "2*a", "a+b", "a-1000", "0", "1", "3", "17", "-1", "2147483648", "8589934592", "1099511627776", "1099511627777",
	"matmul", "identity", "append", "write_rows", "conv2d", "embedding", "softmax", "reduce", "sample", "topk", "slice", "reshape",
	"sum", "mean", "max", "axis", "s0", "pasts0", "\x1b[2J",
}

// scalar is another value for a field: near the old one, or far from any.
func scalar(r *rand.Rand, f protoreflect.FieldDescriptor, old protoreflect.Value) protoreflect.Value {
	near, far := int64(r.IntN(7)-3), int64(Sizes[r.IntN(len(Sizes))])
	signed := func() int64 {
		if r.IntN(2) == 0 {
			return old.Int() + near
		}
		return far
	}
	unsigned := func() uint64 {
		if r.IntN(2) == 0 {
			return old.Uint() + uint64(near)
		}
		return uint64(far)
	}
	switch f.Kind() {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(signed()))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(signed())
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(unsigned()))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(unsigned())
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(!old.Bool())
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(r.IntN(9)))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(far))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(far))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(words[r.IntN(len(words))])
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(make([]byte, r.IntN(40)))
	case protoreflect.MessageKind, protoreflect.GroupKind: // never: see mutate
	}
	return old
}
