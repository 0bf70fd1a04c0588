package engine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// sums is a shape of the given number of dimensions, each a distinct sum of
// terms products of two symbols.
func sums(rank, terms int) plan.Shape {
	s := make(plan.Shape, rank)
	k := 0
	for i := range s {
		for range terms {
			s[i] = s[i].Add(plan.Sym(symbol(k)).Mul(plan.Sym(symbol(k*7 + i + 13))))
			k++
		}
	}
	return s
}

func symbol(i int) string { return fmt.Sprint("s", i%62) }

// bombs are plans of a few hundred bytes whose shapes, strides or offsets are
// products or sums of many terms. They are not checked when they are made.
var bombs = map[string]func(b *scaled){
	"input": func(b *scaled) { b.input(f32s(sums(8, 16)...)) },
	"input of rank 4": func(b *scaled) {
		b.input(f32s(sums(4, 16)...))
	},
	"powers": func(b *scaled) { // of one long dimension
		d := sums(1, 16)[0]
		b.input(f32s(d, d, d, d, d, d, d, d))
	},
	"coefficients": func(b *scaled) {
		d := plan.Sym("a").Scale(1 << 40)
		b.input(f32s(d, d, d, d, d, d, d, d))
	},
	"temporary": func(b *scaled) {
		x := b.input(f32s(plan.C(1)))
		b.says(op.Expand{Shape: sums(8, 16)}, f32s(sums(8, 16)...), x)
	},
	"reshape": func(b *scaled) {
		x := b.input(f32s(sums(2, 16)...))
		b.says(op.Reshape{Shape: sums(6, 16)}, f32s(sums(6, 16)...), x)
	},
	"reshape of a transpose": func(b *scaled) {
		x := b.input(f32s(sums(2, 16)...))
		y := b.says(op.Transpose{Perm: []int{1, 0}}, f32s(sums(2, 16)[1], sums(2, 16)[0]), x)
		b.says(op.Reshape{Shape: sums(8, 16)}, f32s(sums(8, 16)...), y)
	},
	"concat": func(b *scaled) {
		in := make([]int, plan.MaxOpInputs)
		sum := plan.C(0)
		for i := range in {
			d := sums(i+1, 16)[i]
			in[i] = b.input(f32s(d))
			sum = sum.Add(d)
		}
		b.says(op.Concat{}, f32s(plan.Sym("a")), in...)
	},
	"product": func(b *scaled) {
		s := sums(8, 16)
		x, y := b.input(f32s(s[0], s[1])), b.input(f32s(s[2], s[3], s[4], s[5], s[1], s[6]))
		b.says(op.MatMul{}, f32s(s[2], s[3], s[4], s[5], s[0], s[6]), x, y)
	},
	"embedding": func(b *scaled) {
		s := sums(8, 16)
		table := b.input(f32s(s[0], s[7]))
		index := b.input(plan.Spec{DType: plan.I32, Shape: s[:7]})
		b.says(op.Embedding{}, f32s(s...), table, index)
	},
	"convolution": func(b *scaled) {
		s := sums(2, 16)
		x := b.input(f32s(s[0], s[1].Scale(1<<20), plan.C(3), plan.C(3)))
		w := b.input(f32s(plan.C(1<<30), s[1], plan.C(1), plan.C(1)))
		b.says(op.Conv2D{Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Groups: 1 << 20}, f32s(s[0], plan.C(1<<30), plan.C(3), plan.C(3)), x, w)
	},
	"groups": func(b *scaled) {
		x := b.input(f32s(plan.C(1), plan.Sym("a"), plan.C(3), plan.C(3)))
		w := b.input(f32s(plan.C(0), plan.Sym("a").Scale(1<<40), plan.C(1), plan.C(1)))
		b.says(op.Conv2D{Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Groups: 1 << 40}, f32s(plan.C(1), plan.C(0), plan.C(3), plan.C(3)), x, w)
	},
	"slices": func(b *scaled) { // offsets add up, and are multiplied with strides
		s := sums(3, 16)
		x := b.input(f32s(s...))
		for i := range 200 {
			axis := i % 3
			b.says(op.Slice{Axis: axis, Start: sums(40, 16)[i%40], Stop: sums(40, 16)[i%40].Add(s[axis])}, f32s(s...), x)
			x++
		}
	},
	"attributes": func(b *scaled) {
		x := b.input(f32s(plan.C(1)))
		b.says(op.Reshape{Shape: sums(64, 16)}, f32s(plan.C(1)), x)
	},
	"state": func(b *scaled) {
		s := sums(8, 16)
		old, row := b.state(f32s(s...)), b.input(f32s(s...))
		out := append(plan.Shape{s[0].Scale(2)}, s[1:]...)
		b.carry(plan.StateAppend, old, b.says(op.Append{}, f32s(out...), old, row))
	},
	"channels last": func(b *scaled) {
		s := sums(2, 16)
		x := b.input(f32s(s[0], plan.C(3), plan.C(9), plan.C(9)))
		w := b.weight(1, ints(4, 3, 3, 3))
		b.says(op.Conv2D{Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Groups: 1}, f32s(s[0], plan.C(4), plan.C(7), plan.C(7)), x, w)
	},
}

// says adds a step whose output has the spec s in the plan, true or not.
func (b *scaled) says(o op.Op, s plan.Spec, in ...int) int {
	v := b.value(plan.Value{Kind: plan.KindTemp, Spec: s})
	b.p.Steps = append(b.p.Steps, plan.Step{Op: o.Name(), Attrs: o.Attrs(), In: in, Out: v})
	b.p.Buffers = 1
	return v
}

// TestShapeBombs verifies that a small plan is refused by name, or accepted, in
// little time and memory, whatever its shapes multiply to.
func TestShapeBombs(t *testing.T) {
	refused := 0
	for name, bomb := range bombs {
		t.Run(name, func(t *testing.T) {
			b := newScaled(t)
			bomb(b)
			if len(b.p.Outputs) == 0 {
				b.output(len(b.p.Values) - 1)
			}
			e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 1})
			require.NoError(t, err)
			defer func() { require.NoError(t, e.Close()) }()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin := time.Now()
			_, err = e.Compile(&b.p)
			took := time.Since(begin)
			runtime.ReadMemStats(&after)
			if err != nil {
				refused++
				require.ErrorIs(t, err, plan.ErrInvalid)
				require.Less(t, len(err.Error()), 64<<10)
			}
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
			require.Less(t, took, 3*time.Second)
		})
	}
	require.Greater(t, refused, len(bombs)/2)
}

// heavy is a plan whose shapes are within all limits and together take more
// than [op.MaxPlanWork].
func heavy(t *testing.T) *plan.Plan {
	b := newScaled(t)
	x := b.input(f32s(sums(3, 15)...))
	for range 8000 {
		b.step(op.Identity{}, x)
	}
	return &b.p
}

// TestCompileWork verifies that a plan that takes too much to check is refused
// with a cause of its own, distinct from that of an invalid plan.
func TestCompileWork(t *testing.T) {
	e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	p := heavy(t)
	p.Outputs = []plan.Output{{Name: "y", Value: 1, Place: plan.Download}}
	begin := time.Now()
	_, err = e.Compile(p)
	t.Logf("refused after %v", time.Since(begin))
	require.ErrorIs(t, err, transport.ErrLimit)
	require.NotErrorIs(t, err, plan.ErrInvalid)
}

// TestCompileStops verifies that compiling checks often whether to continue,
// for any plan, and ends when its caller has gone or when it is told to.
func TestCompileStops(t *testing.T) {
	e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	again, err := engine.New(engine.Options{Device: cpu.Open, Threads: 1}) // which has compiled no plan that computes the same
	require.NoError(t, err)
	defer func() { require.NoError(t, again.Close()) }()
	gone := errors.New("gone")
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			b := newScaled(t)
			shape(b, 2*scaledValues)
			p := b.finish()
			looks, last, longest := 0, time.Now(), time.Duration(0)
			_, err := e.CompileContext(t.Context(), p, func(context.Context) error {
				looks++
				longest = max(longest, time.Since(last))
				last = time.Now()
				return nil
			})
			require.NoError(t, err)
			require.Greater(t, looks, 1)
			require.Less(t, longest, time.Second) // some milliseconds on an idle machine

			b = newScaled(t)
			shape(b, 2*scaledValues)
			p = b.finish()
			ctx, cancel := context.WithCancelCause(t.Context())
			seen := 0
			_, err = again.CompileContext(ctx, p, func(context.Context) error {
				if seen++; seen == looks/2 {
					cancel(gone)
				}
				return nil
			})
			require.ErrorIs(t, err, gone)
			require.NotErrorIs(t, err, plan.ErrInvalid)
			require.Equal(t, looks/2, seen, "nothing is asked after that")
			_, err = again.CompileContext(t.Context(), p, func(context.Context) error { return gone })
			require.ErrorIs(t, err, gone)
			_, ok := again.Program(p.Hash())
			require.False(t, ok, "nothing is left of it")
		})
	}
}
