package cuda_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// weighing is code with one weight: of a product, or of an operator that reads
// it element by element.
func weighing(t *testing.T, d device.Device, product bool, dt, storage plan.DType, dims ...int) (c device.Code, weight int) {
	t.Helper()
	m := planmaker.New(nil)
	p := m.Plan()
	shape := plan.Shape{}
	for _, n := range dims {
		shape = append(shape, plan.C(n))
	}
	p.Values = append(p.Values, plan.Value{
		Kind: plan.KindWeight, Name: "w", Spec: plan.Spec{DType: dt, Shape: shape}, Storage: storage, Buffer: plan.NoBuffer,
		Hash: transport.HashWeight(storage, dims, nil),
	})
	var y int
	if product {
		x := m.Input(plan.Spec{DType: dt, Shape: plan.Shape{plan.C(1), plan.C(dims[0])}})
		y, _ = m.Apply("matmul", plan.Attrs{plan.BoolAttr("trans_a", false), plan.BoolAttr("trans_b", false)}, x, 0)
	} else {
		y, _ = m.Apply("equal", nil, 0, 0)
	}
	p.Outputs = []plan.Output{{Name: "y", Value: y, Place: plan.Download}}
	m.Assign()
	work := op.NewWork(func() error { return nil })
	prog, err := program.Compile(p, program.Options{}, work)
	require.NoError(t, err)
	c, err = d.Compile(prog, work)
	require.NoError(t, err)
	return c, 0
}

// load loads content in parts of n bytes.
func load(c device.Code, v int, content []byte, n int) (device.Weight, error) {
	s, err := c.WeightSizes(v)
	if err != nil {
		return nil, err
	}
	l, err := c.LoadWeight(v, s)
	if err != nil {
		return nil, err
	}
	for len(content) > 0 {
		k := min(n, len(content))
		part := bytes.Clone(content[:k])
		l.Write(part)
		clear(part) // the loader has taken it
		content = content[k:]
	}
	return l.Finish()
}

// TestWeights loads weights of all types that are stored as they are, or
// widened, in parts of all sizes.
func TestWeights(t *testing.T) {
	s := newStored()
	d := openStored(t, s, cuda.Options{}, device.Options{})
	for _, tt := range []struct {
		dt, storage plan.DType
		dims        []int
	}{
		{plan.F32, plan.F32, []int{7}},
		{plan.F32, plan.F32, []int{0, 3}},
		{plan.F32, plan.F32, []int{700, 1001}},
		{plan.F32, plan.BF16, []int{33}},
		{plan.F32, plan.BF16, []int{700, 2003}},
		{plan.F32, plan.F16, []int{5, 100003}},
		{plan.I64, plan.I64, []int{3, 5}},
		{plan.I32, plan.I32, []int{1 << 19}},
		{plan.Bool, plan.Bool, []int{3, 5, 7}},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			elems := 1
			for _, n := range tt.dims {
				elems *= n
			}
			content := draw(elems * tt.storage.Size())
			if tt.storage == plan.BF16 || tt.storage == plan.F16 {
				for i := 1; i < len(content); i += 2 {
					content[i] &= 0xbb // no infinities and no NaN, whose bits may change
				}
			}
			c, v := weighing(t, d, false, tt.dt, tt.storage, tt.dims...)
			sizes, err := c.WeightSizes(v)
			require.NoError(t, err)
			require.EqualValues(t, len(content), sizes.Content)
			require.False(t, sizes.Packed)
			had, _ := cuda.Taken(d)
			for _, part := range []int{1 << 10, 1<<20 - 1, 1 << 20, 3<<20 + 1} {
				w, err := load(c, v, content, part)
				require.NoError(t, err)
				require.Equal(t, sizes.Held, w.Bytes())
				require.False(t, w.Packed())
				taken, spare := cuda.Taken(d)
				require.Equal(t, sizes.Held, taken-spare-had, "exactly this")
				got, err := d.Bytes(cuda.WeightMemory(w), elems*tt.dt.Size())
				require.NoError(t, err)
				want := content
				if tt.storage != tt.dt {
					want = widened(tt.storage, content)
				}
				require.True(t, bytes.Equal(want, got))
				w.Free()
				taken, _ = cuda.Taken(d)
				require.Equal(t, had, taken)
			}
		})
	}
}

func widened(storage plan.DType, b []byte) (out []byte) {
	for i := 0; i < len(b); i += 2 {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(op.Widen(storage, binary.LittleEndian.Uint16(b[i:]))))
	}
	return out
}

// TestWeightGivenUp aborts weights at every stage of loading, and finishes one of
// which a part is missing: nothing is left, and the same memory serves the next.
func TestWeightGivenUp(t *testing.T) {
	s := newStored()
	d := openStored(t, s, cuda.Options{}, device.Options{})
	for _, product := range []bool{false, true} {
		for _, storage := range []plan.DType{plan.F32, plan.BF16} {
			c, v := weighing(t, d, product, plan.F32, storage, 1500, 1024)
			sizes, err := c.WeightSizes(v)
			require.NoError(t, err)
			require.Equal(t, product, sizes.Packed)
			require.GreaterOrEqual(t, sizes.Peak, sizes.Held)
			content := draw(int(sizes.Content))
			for _, n := range []int{0, 1, 1 << 20, 5 << 19, len(content)} {
				l, err := c.LoadWeight(v, sizes)
				require.NoError(t, err)
				require.Equal(t, sizes.Peak, l.Bytes())
				taken, spare := cuda.Taken(d)
				require.Equal(t, sizes.Peak, taken-spare)
				l.Write(content[:min(n, len(content))])
				if n == 1 {
					_, err = l.Finish()
					require.ErrorIs(t, err, transport.ErrInternal)
				} else {
					l.Abort()
				}
				taken, spare = cuda.Taken(d)
				require.Equal(t, taken, spare)
			}
		}
	}
	require.Equal(t, 3, s.open.others, "a stream with its events")
}

// TestLoadOverlaps counts the waits of a loader: a piece is waited for when its
// half of the page-locked memory is needed again, and not before.
func TestLoadOverlaps(t *testing.T) {
	s := newStored()
	d := openStored(t, s, cuda.Options{}, device.Options{})
	for _, product := range []bool{false, true} {
		c, v := weighing(t, d, product, plan.F32, plan.F32, 5<<10, 256)
		sizes, err := c.WeightSizes(v)
		require.NoError(t, err)
		waits := 0
		l, err := c.LoadWeight(v, sizes)
		require.NoError(t, err)
		s.plant(func(call string) *driver.Error {
			if call == "synchronize" {
				waits++
			}
			return nil
		})
		for i, want := range []int{0, 0, 1, 2, 3} {
			l.Write(make([]byte, 1<<20))
			require.Equal(t, want, waits, "after piece %d", i)
		}
		w, err := l.Finish()
		require.NoError(t, err)
		require.Equal(t, 4, waits)
		s.plant(nil)
		w.Free()
	}
}

// TestWeightRefused asks for a weight that is larger than the device, and for
// one when the driver has too little.
func TestWeightRefused(t *testing.T) {
	s := newStored()
	d := openStored(t, s, cuda.Options{Memory: 4 << 20}, device.Options{})
	c, v := weighing(t, d, true, plan.F32, plan.F32, 1024, 2048)
	_, err := load(c, v, nil, 1)
	require.ErrorIs(t, err, transport.ErrMemory)
	taken, spare := cuda.Taken(d)
	require.Equal(t, taken, spare)
	for i := 1; ; i++ {
		c, v = weighing(t, d, true, plan.F32, plan.F32, 256, 512)
		s.plant(nth("", i, outOfMemory))
		w, err := load(c, v, make([]byte, 4*256*512), 1<<10)
		s.plant(nil)
		if err == nil {
			w.Free()
			if i > 40 {
				break
			}
			continue
		}
		require.ErrorIs(t, err, transport.ErrMemory, i)
		require.NotErrorIs(t, err, transport.ErrDevice)
		taken, spare := cuda.Taken(d)
		require.Equal(t, taken, spare)
	}
	_, err = cuda.Open(newStored(), 0, cuda.Options{})(device.Options{Int8Weights: true})
	require.ErrorContains(t, err, "8 bits")
	var failed *driver.Error
	require.NotErrorAs(t, err, &failed)
}
