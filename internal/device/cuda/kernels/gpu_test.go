package kernels_test

import (
	"encoding/binary"
	"math"
	"sync"
	"testing"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// gpu is the loaded kernels on the emulator, with a stream. What it allocates
// is freed at the end of the test.
type gpu struct {
	t    *testing.T
	ctx  driver.Context
	set  *kernels.Set
	st   driver.Stream
	held []driver.Ptr
	// Of openLike: the kernels that were launched.
	launched map[string]bool
}

// loaded is a context that all tests share: most of the time of a small test
// would be that of loading the kernels.
var loaded = sync.OnceValues(func() (*gpu, error) {
	ctx, err := emulator.New(emulator.Options{}).Open(0)
	if err != nil {
		return nil, err
	}
	set, err := kernels.LoadPTX(ctx)
	return &gpu{ctx: ctx, set: set}, err
})

func open(t *testing.T) *gpu {
	t.Helper()
	l, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	g := &gpu{t: t, ctx: l.ctx, set: l.set}
	if g.st, err = g.ctx.NewStream(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.st.Synchronize(); err != nil {
			t.Error(err)
		}
		for _, p := range g.held {
			if err := g.ctx.Free(p); err != nil {
				t.Error(err)
			}
		}
		if err := g.st.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// openLike is a device whose kernels are launched as on one of other properties.
// It records which are launched.
func openLike(t *testing.T, change func(p *driver.Properties)) *gpu {
	t.Helper()
	g := open(t)
	g.launched = map[string]bool{}
	names := map[driver.Function]string{}
	set, err := kernels.LoadPTX(like{g.ctx, change, names})
	if err != nil {
		t.Fatal(err)
	}
	g.set = set
	g.st = recorder{g.st, names, g.launched}
	return g
}

// like is a context with other properties. It records the names of functions.
type like struct {
	driver.Context
	change func(p *driver.Properties)
	names  map[driver.Function]string
}

func (l like) Properties() driver.Properties {
	p := l.Context.Properties()
	l.change(&p)
	return p
}

func (l like) Load(image []byte) (driver.Module, error) {
	m, err := l.Context.Load(image)
	return module{m, l.names}, err
}

type module struct {
	driver.Module
	names map[driver.Function]string
}

func (m module) Function(name string) (driver.Function, error) {
	f, err := m.Module.Function(name)
	m.names[f] = name
	return f, err
}

// recorder is a stream that records which kernels are launched.
type recorder struct {
	driver.Stream
	names    map[driver.Function]string
	launched map[string]bool
}

func (r recorder) Launch(f driver.Function, grid, block driver.Dim, shared int, args []byte) error {
	r.launched[r.names[f]] = true
	return r.Stream.Launch(f, grid, block, shared, args)
}

func (g *gpu) alloc(n int64) driver.Ptr {
	g.t.Helper()
	if n == 0 {
		return 0
	}
	p, err := g.ctx.Alloc(n)
	if err != nil {
		g.t.Fatal(err)
	}
	g.held = append(g.held, p)
	return p
}

func (g *gpu) upload(b []byte) driver.Ptr {
	g.t.Helper()
	p := g.alloc(int64(len(b)))
	if len(b) > 0 {
		if err := g.st.CopyIn(p, b); err != nil {
			g.t.Fatal(err)
		}
	}
	return p
}

func (g *gpu) floats(x []float32) driver.Ptr {
	g.t.Helper()
	return g.upload(encode(plan.F32, x))
}

// bytes waits for all work and copies memory from the device.
func (g *gpu) bytes(p driver.Ptr, n int64) []byte {
	g.t.Helper()
	b := make([]byte, n)
	if n > 0 {
		if err := g.st.CopyOut(b, p); err != nil {
			g.t.Fatal(err)
		}
	}
	if err := g.st.Synchronize(); err != nil {
		g.t.Fatal(err)
	}
	return b
}

func (g *gpu) download(p driver.Ptr, n int) []float32 {
	g.t.Helper()
	return (&op.Array{Data: g.bytes(p, int64(4*n))}).F32()
}

func (g *gpu) scratch(w *kernels.Packed, rows int) driver.Ptr {
	g.t.Helper()
	return g.alloc(int64(g.set.ProductScratch(w, rows)))
}

func (g *gpu) product(w *kernels.Packed, portions []kernels.Rows) {
	g.t.Helper()
	rows := 0
	for i := range portions {
		rows += portions[i].Count
	}
	if err := g.set.Product(g.st, w, portions, g.scratch(w, rows)); err != nil {
		g.t.Fatal(err)
	}
}

// encode stores values in a format.
func encode(elem plan.DType, x []float32) []byte {
	b := make([]byte, 0, len(x)*elem.Size())
	for _, v := range x {
		switch elem {
		case plan.F16:
			b = binary.LittleEndian.AppendUint16(b, half(v))
		case plan.BF16:
			b = binary.LittleEndian.AppendUint16(b, uint16(math.Float32bits(rounded(elem, v))>>16))
		default:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	return b
}

// rounded is x rounded to nearest, ties to even, in a format.
func rounded(elem plan.DType, x float32) float32 {
	switch elem {
	case plan.F16:
		return op.Widen(elem, half(x))
	case plan.BF16:
		u := math.Float32bits(x)
		return math.Float32frombits((u + 0x7fff + u>>16&1) &^ 0xffff)
	default:
		return x
	}
}

// half is the binary16 nearest to a finite x that is not too large for it.
func half(x float32) uint16 {
	sign := uint16(math.Float32bits(x) >> 16 & 0x8000)
	a := math.Abs(float64(x))
	if a < 1.0/(1<<14) { // a multiple of 2^-24
		return sign | uint16(math.RoundToEven(a*(1<<24)))
	}
	frac, exp := math.Frexp(a)
	// The mantissa carries into the exponent.
	return sign + uint16((exp+13)<<10) + uint16(math.RoundToEven(frac*2048))
}
