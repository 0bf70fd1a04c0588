package micro

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/workloads"
)

// ErrCase is the cause of errors about an invalid case.
var ErrCase = errors.New("genie: no such micro case")

// The operators and transfers, with the meaning of their dimensions.
const (
	MatMul    = "matmul"     // m, n, k: x [m, k] times a weight [k, n]
	Conv      = "conv"       // channels, size: x [1, channels, size, size], as many filters 3x3, padding 1
	Attention = "attention"  // heads, rows, width: causal, q, k and v [1, heads, rows, width]
	Linear    = "linear"     // rows, features: x [rows, features] times a weight [features, features] plus a bias
	BatchNorm = "batch_norm" // batch, channels, size: x [batch, channels, size, size]
	Atan      = "atan"       // rows, columns: x [rows, columns]; an operator without a kernel
	Upload    = "upload"     // bytes: f32 up, a sum for each row back
	Download  = "download"   // bytes: an index for each row up, f32 back
	Echo      = "echo"       // bytes: f32 up and back
)

// Case is one operator or transfer at one size.
type Case struct {
	Op   string `json:"op"`
	Dims []int  `json:"dims"`
}

// Transfer reports whether the case measures moving bytes.
func (c Case) Transfer() bool { return c.Op == Upload || c.Op == Download || c.Op == Echo }

// Size is the dimensions in readable form: 1024x1024x1024, 16MiB.
func (c Case) Size() string {
	if c.Transfer() && len(c.Dims) == 1 {
		n := c.Dims[0]
		switch {
		case n >= 1<<20 && n%(1<<20) == 0:
			return strconv.Itoa(n>>20) + "MiB"
		case n >= 1<<10 && n%(1<<10) == 0:
			return strconv.Itoa(n>>10) + "KiB"
		}
		return strconv.Itoa(n) + "B"
	}
	text := make([]string, len(c.Dims))
	for i, n := range c.Dims {
		text[i] = strconv.Itoa(n)
	}
	return strings.Join(text, "x")
}

// String names the case: matmul-1024x1024x1024, upload-16MiB.
func (c Case) String() string { return c.Op + "-" + c.Size() }

// batch is the number of images of a case that has several.
func (c Case) batch() int {
	if c.Op == BatchNorm {
		return c.Dims[0]
	}
	return 1
}

// dimensions is the number of dimensions of each operator and transfer.
var dimensions = map[string]int{MatMul: 3, Conv: 2, Attention: 3, Linear: 2, BatchNorm: 3, Atan: 2, Upload: 1, Download: 1, Echo: 1}

// maxDim keeps products of dimensions far from overflow.
const maxDim = 1 << 30

func (c Case) check() error {
	if n, ok := dimensions[c.Op]; !ok || n != len(c.Dims) {
		return fmt.Errorf("%w: %q of %v", ErrCase, c.Op, c.Dims)
	}
	for _, n := range c.Dims {
		if n < 1 || n > maxDim {
			return fmt.Errorf("%w: %v", ErrCase, c)
		}
	}
	if c.Transfer() && c.Dims[0]%4 != 0 {
		return fmt.Errorf("%w: %v is no whole number of float32", ErrCase, c)
	}
	return nil
}

// grid is the rows and columns of a transfer's float32: the most square grid,
// so that one value per row or column is small in comparison.
func (c Case) grid() (rows, columns int) {
	n := c.Dims[0] / 4
	rows = 1
	for r := 1; r*r <= n; r++ {
		if n%r == 0 {
			rows = r
		}
	}
	return rows, n / rows
}

// Suite is the cases of a scale.
type Suite struct {
	Calibration []Case // measured to fit the cost model
	Judged      []Case // compared with its predictions; disjoint from Calibration
}

const kib, mib = 1 << 10, 1 << 20

// SuiteAt is the suite of a scale. The small and the full one are the same.
func SuiteAt(scale workloads.Scale) Suite {
	if scale == workloads.Tiny {
		return Suite{
			Calibration: append([]Case{
				{MatMul, []int{32, 32, 32}},
				{MatMul, []int{64, 64, 64}},
				{Conv, []int{8, 8}},
				{Conv, []int{8, 16}},
				{Attention, []int{2, 12, 8}},
				{Attention, []int{2, 24, 8}},
				{Linear, []int{20, 24}},
				{Linear, []int{20, 40}},
				{BatchNorm, []int{2, 6, 5}},
				{BatchNorm, []int{2, 10, 5}},
				{Atan, []int{4, 8}},
				{Atan, []int{16, 32}},
			}, transfers(256, 8*kib, 128*kib)...),
			Judged: append([]Case{
				{MatMul, []int{48, 40, 56}},
				{Conv, []int{8, 12}},
				{Attention, []int{2, 16, 8}},
				{Linear, []int{20, 32}},
				{BatchNorm, []int{2, 8, 5}},
			}, transfers(kib, 64*kib)...),
		}
	}
	return Suite{
		Calibration: append([]Case{
			{MatMul, []int{768, 768, 768}},
			{MatMul, []int{896, 896, 896}},
			{MatMul, []int{1280, 1280, 1280}},
			{Conv, []int{48, 48}},
			{Conv, []int{80, 48}},
			{Conv, []int{80, 64}},
			{Attention, []int{8, 384, 64}},
			{Attention, []int{8, 640, 64}},
			{Attention, []int{16, 640, 64}},
			{Linear, []int{96, 384}},
			{Linear, []int{160, 448}},
			{Linear, []int{160, 640}},
			{BatchNorm, []int{8, 192, 12}},
			{BatchNorm, []int{8, 224, 16}},
			{BatchNorm, []int{8, 320, 16}},
			{Atan, []int{16, 64}},
			{Atan, []int{128, 256}},
			{Atan, []int{512, 1024}},
		}, transfers(256, 8*kib, 32*kib, 128*kib, 256*kib, 512*kib, 2*mib, 6*mib, 12*mib, 24*mib, 64*mib, 160*mib, 320*mib)...),
		Judged: append([]Case{
			{MatMul, []int{1024, 1024, 1024}},
			{Conv, []int{64, 56}},
			{Attention, []int{12, 512, 64}},
			{Linear, []int{128, 512}},
			{BatchNorm, []int{8, 256, 14}},
		}, transfers(kib, 64*kib, mib, 16*mib, 256*mib)...),
	}
}

// transfers is an upload, a download and an echo of each size.
func transfers(bytes ...int) []Case {
	var cases []Case
	for _, op := range []string{Upload, Download, Echo} {
		for _, n := range bytes {
			cases = append(cases, Case{op, []int{n}})
		}
	}
	return cases
}
