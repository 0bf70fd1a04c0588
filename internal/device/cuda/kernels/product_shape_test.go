package kernels

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/transport/plan"
)

// launched is a launch that a stream was asked for.
type launched struct {
	name        string
	grid, block int
	shared      int
}

// named is a function that knows its name, and recording a stream that launches
// nothing.
type named struct {
	driver.Function
	name string
}

type recording struct {
	driver.Stream
	launches []launched
}

// Launch implements [driver.Stream].
func (r *recording) Launch(f driver.Function, grid, block driver.Dim, shared int, _ []byte) error {
	r.launches = append(r.launches, launched{f.(named).name, grid.X, block.X, shared})
	return nil
}

// largest is a device with the multiprocessors and shared memory of an H200.
func largest() *Set {
	s := &Set{functions: map[string]driver.Function{}, props: driver.Properties{Multiprocessors: 132, SharedPerBlock: 227 << 10}}
	for _, names := range modules {
		for _, name := range names {
			s.functions[name] = named{name: name}
		}
	}
	return s
}

func (s *Set) launchesOf(t *testing.T, w *Packed, rows, sessions, stages int) []launched {
	t.Helper()
	p := Rows{A: 1 << 20, Out: 1 << 20, Count: rows, StrideA: w.K, StrideOut: w.N}
	p.Stages = slices.Repeat([]Stage{{Kind: StageUnary, Code: 1}}, stages)
	var r recording
	require.NoError(t, s.Product(&r, w, slices.Repeat([]Rows{p}, sessions), 1<<20))
	return r.launches
}

// gpt2XL is the [K, N] of GPT-2 XL's products.
var gpt2XL = [][2]int{{1600, 4800}, {1600, 1600}, {1600, 6400}, {6400, 1600}, {1600, 50257}}

// A decode step launches one kernel for each product, with the sessions and
// stages that are usual, and its blocks have enough loads under way: 29 KB for
// each multiprocessor hide 800 ns at 4.8 TB/s, and the smallest product has two
// thirds of that.
func TestDecodeLaunches(t *testing.T) {
	s := largest()
	// Registers allow three blocks of the kernels for one and two rows, and two of the others.
	resident := map[string]int{"product_skinny_1": 3, "product_skinny_8": 2, "product_bf16_skinny_8": 2}
	// Bytes that a thread has under way, at least.
	each := map[string]int{"product_skinny_1": 256, "product_skinny_8": 256, "product_bf16_skinny_8": 128}
	for _, elem := range []plan.DType{plan.F32, plan.BF16} {
		for _, size := range gpt2XL {
			for _, sessions := range []int{1, 8} {
				w := &Packed{At: 1 << 20, Elem: elem, K: size[0], N: size[1]}
				l := s.launchesOf(t, w, 1, sessions, 3)
				require.Len(t, l, 1)
				x := l[0]
				most, ok := resident[x.name]
				require.True(t, ok, x.name)
				threads := min(x.grid, most*132) * x.block
				underWay := threads * each[x.name] / 132
				what := fmt.Sprintf("%v [%d, %d], %d rows: %+v, %d bytes under way", elem, w.K, w.N, sessions, x, underWay)
				t.Log(what)
				require.GreaterOrEqual(t, x.grid, 100, what)
				require.Greater(t, underWay, 19<<10, what)
				require.LessOrEqual(t, x.shared, 226<<10, what)
			}
		}
	}
}

// More sessions or stages than arguments have room for take a table, and more
// than a table several products.
func TestProductTables(t *testing.T) {
	s := largest()
	for _, c := range []struct {
		sessions, stages int
		want             []string
	}{
		{inlinePortions, inlineStages, []string{"product_skinny_8"}},
		{inlinePortions + 1, inlineStages, []string{"store_words", "product_skinny_8"}},
		{1, inlineStages + 1, []string{"store_words", "product_skinny_1"}},
		{tablePortions + 1, 1, []string{"store_words", "product_skinny_8", "product_skinny_1"}},
	} {
		var got []string
		for _, l := range s.launchesOf(t, &Packed{At: 1 << 20, Elem: plan.F32, K: 8, N: 8}, 1, c.sessions, c.stages) {
			got = append(got, l.name)
		}
		require.Equal(t, c.want, got)
	}
}

// A prefill converts its rows and then multiplies, with tiles that fill the
// device.
func TestPrefillLaunches(t *testing.T) {
	s := largest()
	for _, rows := range []int{512, 1024} {
		for _, size := range gpt2XL {
			w := &Packed{At: 1 << 20, Elem: plan.BF16, K: size[0], N: size[1]}
			l := s.launchesOf(t, w, rows, 1, 3)
			require.Len(t, l, 2)
			require.Equal(t, "convert_rows_bf16", l[0].name)
			t.Logf("%d rows, [%d, %d]: %+v", rows, w.K, w.N, l[1])
			require.GreaterOrEqual(t, l[1].grid, 100)
		}
	}
}
