package kernels

import (
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// sample mirrors Sample of sample.cu.
type sample struct {
	y, scratch                                                           driver.Ptr
	temperature, topP, topK, seed, counter                               driver.Ptr
	x                                                                    lines
	temperatureStride, topPStride, topKStride, seedStride, counterStride int64
	sorted                                                               int64
	slack                                                                uint64
	unit, counterWide                                                    int32
}

// Sampling is the operands of [op.Sample].
type Sampling struct {
	Out         driver.Ptr // i32 [batch], contiguous
	Logits      Tensor     // f32 [batch, vocab]
	Temperature Tensor     // f32 [batch]
	TopP        Tensor     // f32 [batch]
	TopK        Tensor     // i32 [batch]
	Seed        Tensor     // i64 [batch]
	Counter     Tensor     // i32 or i64 [batch]
	Scratch     driver.Ptr // [SampleScratch] bytes
}

// SampleScratch is the scratch memory in bytes that [Set.Sample] needs.
func SampleScratch(batch, vocab int) int {
	return selectGrid(batch, sampleRow(vocab)) * sampleRow(vocab)
}

// sampleRow is a weight for each element, and codes to sort.
func sampleRow(vocab int) int { return 8 * (vocab + ceilPow2(vocab)) }

// Sample draws a token for each row of logits: the one that [op.Sample] draws
// from equal logits.
func (s *Set) Sample(st driver.Stream, a *Sampling) error { return s.sample(st, a, 0) }

// sample draws with a larger bound of what sums may differ by: the larger it is,
// the more draws add as the reference does. The tokens are the same.
func (s *Set) sample(st driver.Stream, a *Sampling, slack uint64) error {
	l, err := linesOf(&a.Logits, -1)
	if err != nil {
		return err
	}
	if len(a.Logits.Shape) != 2 || a.Scratch == 0 {
		return fmt.Errorf("%w: sample from %v", op.ErrShape, a.Logits.Shape)
	}
	for i, t := range [...]*Tensor{&a.Temperature, &a.TopP, &a.TopK, &a.Seed, &a.Counter} {
		want := [...]plan.DType{plan.F32, plan.F32, plan.I32, plan.I64, plan.I64}[i]
		if t == &a.Counter && t.DType == plan.I32 {
			want = plan.I32
		}
		if len(t.Shape) != 1 || t.Shape[0] != a.Logits.Shape[0] || t.DType != want {
			return fmt.Errorf("%w: sample parameter %d is %v %v", op.ErrShape, i+1, t.DType, t.Shape)
		}
	}
	if l.rows == 0 {
		return nil
	}
	if l.n == 0 {
		return fmt.Errorf("%w: sample from %v", op.ErrShape, a.Logits.Shape)
	}
	vocab := int(l.n)
	k := sample{
		y: a.Out, scratch: a.Scratch, x: l, slack: slack, sorted: int64(ceilPow2(vocab)),
		temperature: a.Temperature.At, temperatureStride: int64(a.Temperature.Strides[0]),
		topP: a.TopP.At, topPStride: int64(a.TopP.Strides[0]),
		topK: a.TopK.At, topKStride: int64(a.TopK.Strides[0]),
		seed: a.Seed.At, seedStride: int64(a.Seed.Strides[0]),
		counter: a.Counter.At, counterStride: int64(a.Counter.Strides[0]),
		unit: int32(62 - bits.Len(uint(vocab))),
	}
	if a.Counter.DType == plan.I64 {
		k.counterWide = 1
	}
	grid := driver.Dim{X: selectGrid(int(l.rows), sampleRow(vocab)), Y: 1, Z: 1}
	return launch(s, st, "sample", grid, selectBlock(l.n), 0, &k)
}

var _ = [1]struct{}{}[unsafe.Sizeof(sample{})%8]
