package genie_test

import (
	"context"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

var (
	someFloats = []float32{0, float32(math.Copysign(0, -1)), 1.5, math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Inf(-1))}
	someInt32s = []int32{0, -1, 7, math.MaxInt32, math.MinInt32, 65536}
	someInt64s = []int64{0, -1, 7, math.MaxInt64, math.MinInt64, 1 << 40}
	someBools  = []bool{true, false, false, true, true, false}
)

// TestValueTypes feeds every element type that an input can have, and reads it back
// from the run that downloads it and from the executor that retains it.
func TestValueTypes(t *testing.T) {
	executors(t, func(t *testing.T, c *genie.Client) {
		g := lazy.NewGraph("types")
		var outs []*lazy.Tensor
		for _, dt := range []plan.DType{lazy.F32, lazy.I32, lazy.I64, lazy.Bool} {
			outs = append(outs, lazy.Reshape(g.Input(dt.String(), dt, "n", 3), 3, "n"))
		}
		require.NoError(t, g.Err())
		feed := genie.Feed{
			"f32": genie.Float32s(someFloats, 2, 3), "i32": genie.Int32s(someInt32s, 2, 3),
			"i64": genie.Int64s(someInt64s, 2, 3), "bool": genie.Bools(someBools, 2, 3),
		}
		ctx := context.Background()
		s := session(t, c)
		retained := 0
		for _, run := range []func(context.Context, genie.Feed, ...*lazy.Tensor) ([]*genie.Value, error){s.Run, s.RunRetain} {
			got, err := run(ctx, feed, outs...)
			require.NoError(t, err)
			for i, v := range got {
				if v.Remote() {
					retained++
				}
				require.Equal(t, []int{3, 2}, v.Shape())
				readsAs(ctx, t, v, outs[i].DType())
				want, err := feed[outs[i].DType().String()].Bytes(ctx)
				require.NoError(t, err)
				bytes, err := v.Bytes(ctx)
				require.NoError(t, err)
				require.Equal(t, want, bytes)
			}
		}
		if strings.HasSuffix(t.Name(), "/"+semantic.Full().Name()) {
			require.Equal(t, len(outs), retained)
		}
	})
}

// readsAs reads v by each typed reader: those of its type give the numbers, the
// others say what it is.
func readsAs(ctx context.Context, t *testing.T, v *genie.Value, dt plan.DType) {
	t.Helper()
	floats, errF := v.Float32s(ctx)
	ints, errI := v.Int32s(ctx)
	longs, errL := v.Int64s(ctx)
	bools, errB := v.Bools(ctx)
	fits := map[plan.DType][]bool{
		lazy.F32: {true, false, false, false}, lazy.I32: {false, true, true, false},
		lazy.I64: {false, false, true, false}, lazy.Bool: {false, false, false, true},
	}[dt]
	for i, err := range []error{errF, errI, errL, errB} {
		if fits[i] {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, genie.ErrDType)
		require.ErrorContains(t, err, dt.String())
	}
	switch dt {
	case lazy.F32:
		for i, f := range floats {
			require.Equal(t, math.Float32bits(someFloats[i]), math.Float32bits(f))
		}
		require.Len(t, floats, len(someFloats))
	case lazy.I32:
		require.Equal(t, someInt32s, ints)
		for i, n := range longs {
			require.EqualValues(t, someInt32s[i], n)
		}
		require.Len(t, longs, len(someInt32s))
	case lazy.I64:
		require.Equal(t, someInt64s, longs)
	default:
		require.Equal(t, someBools, bools)
	}
}

// TestValueHalves widens every f16 and bf16 number, against its definition.
func TestValueHalves(t *testing.T) {
	data := make([]byte, 0, 2<<16)
	for h := range 1 << 16 {
		data = binary.LittleEndian.AppendUint16(data, uint16(h))
	}
	for _, c := range []struct {
		dt        plan.DType
		mantissa  int
		exponents int
	}{{plan.F16, 10, 5}, {plan.BF16, 7, 8}} {
		v := genie.Bytes(c.dt, data, 256, 256)
		require.Equal(t, c.dt, v.DType())
		got, err := v.Float32s(t.Context())
		require.NoError(t, err)
		require.Len(t, got, 1<<16)
		for h, f := range got {
			fraction, exponent := h&(1<<c.mantissa-1), h>>c.mantissa&(1<<c.exponents-1)
			want := math.Ldexp(float64(fraction), 2-1<<(c.exponents-1)-c.mantissa) // subnormal
			switch {
			case exponent == 1<<c.exponents-1 && fraction != 0:
				require.True(t, math.IsNaN(float64(f)), "%v %#x is %v", c.dt, h, f)
				require.Equal(t, h>>15 == 1, math.Signbit(float64(f)), "%v %#x", c.dt, h)
				require.EqualValues(t, fraction, math.Float32bits(f)&(1<<23-1)>>(23-c.mantissa), "payload of %v %#x", c.dt, h)
				continue
			case exponent == 1<<c.exponents-1:
				want = math.Inf(1)
			case exponent > 0:
				want = math.Ldexp(float64(fraction+1<<c.mantissa), exponent-(1<<(c.exponents-1)-1)-c.mantissa)
			}
			if h>>15 == 1 {
				want = math.Copysign(want, -1)
			}
			if math.Float32bits(f) != math.Float32bits(float32(want)) || float64(float32(want)) != want {
				t.Fatalf("%v %#x is %v, want %v", c.dt, h, f, want)
			}
		}
		raw, err := v.Bytes(t.Context())
		require.NoError(t, err)
		require.Equal(t, data, raw)
		_, err = v.Int32s(t.Context())
		require.ErrorIs(t, err, genie.ErrDType)
	}
}

// TestValueErrors reads values whose bytes are not what they say they are.
func TestValueErrors(t *testing.T) {
	for name, c := range map[string]struct {
		v    *genie.Value
		want error
	}{
		"short":        {genie.Bytes(plan.F32, make([]byte, 7), 2), genie.ErrShape},
		"long":         {genie.Float32s(make([]float32, 3), 2), genie.ErrShape},
		"no type":      {genie.FromTensor(transport.Tensor{Shape: []int{1}, Data: make([]byte, 4)}), genie.ErrDType},
		"unknown type": {genie.Bytes(plan.DType(99), make([]byte, 4), 1), genie.ErrDType},
	} {
		_, err := c.v.Bytes(t.Context())
		require.ErrorIs(t, err, c.want, name)
		_, err = c.v.Float32s(t.Context())
		require.ErrorIs(t, err, c.want, name)
	}
	empty, err := genie.Bools(nil, 0, 3).Bools(t.Context())
	require.NoError(t, err)
	require.Empty(t, empty)
}
