package kernels

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/transport/plan"
)

// KeyBlock keys are a block of attention: the rows of a page are a multiple.
const KeyBlock = 64

// Paged is an operand whose rows, the second-last axis, are in one piece from
// At on, or in pages of PageRows rows each. Table is device memory with the
// addresses of the pages, each aligned to 16 bytes. Strides are those within a
// page.
type Paged struct {
	Tensor
	Table    driver.Ptr // 0 for one piece
	PageRows int        // a multiple of [KeyBlock]
}

// Attention is softmax(scores) x V of many heads: Q [..., heads, rows, dim], K [...,
// kvHeads, keys, dim] and V [..., kvHeads, keys, width], whose other leading axes
// agree and whose last axes are dense. The first axis is the batch. heads/kvHeads
// heads in a row share keys and values.
//
// The output is contiguous, [..., heads, rows, width], or with Merge [batch, rows,
// ..., heads, width]. See [github.com/genie-sdk/go/internal/op.Attention].
type Attention struct {
	Out    driver.Ptr
	Merge  bool
	Q      Tensor
	K, V   Paged
	Scale  float32 // multiplies or divides the scores; 1 for none
	Divide bool
	Masked bool
	Window int    // 0 for none
	Start  Tensor // i32 or i64 [batch]; At is 0 for none
	// Softcap bounds the scores; 0 for none. Mask broadcasts to [..., heads, rows,
	// keys]: f32 is added to the scores, and bool is false where a row does not see
	// a key; At is 0 for none.
	Softcap float32
	Mask    Tensor

	// Scratch has [AttentionScratch] bytes. Counters has
	// [AttentionCounterBytes] that only attention uses, in one stream at a
	// time: zero before the first launch, and after each.
	Scratch, Counters driver.Ptr
}

const (
	// AttentionCounterBytes is the size of the counters of a stream.
	AttentionCounterBytes = 4 * attentionCounters

	attentionCounters = 4096
	// A block of threads computes fewRows rows for one block of keys, or a tile
	// of tileRows for all keys.
	fewRows  = 8
	tileRows = 64
	// Tiles take less work for more than tilesFrom rows. Up to tilesAlways rows
	// they are used if there are so many that they fill a device.
	tilesFrom, tilesAlways, fullGrid = 33, 257, 96
	// partialBytes bounds the scratch of a launch, unless one head needs more.
	partialBytes  = 16 << 20
	attentionAxes = 6
	maxGridYZ     = 65535
)

// matrices mirrors Matrices of attention.cuh.
type matrices struct {
	at       driver.Ptr
	table    driver.Ptr
	row      int64
	head     [attentionAxes]int64
	pageRows int32
	wide     int32
}

// attend mirrors Attend of attention.cuh.
type attend struct {
	out, start, mask, partial, counters driver.Ptr
	q, k, v                             matrices
	outBatch, outHead, outRow           int64
	startStride                         int64
	maskRow, maskKey                    int64
	maskHead                            [attentionAxes]int64
	shape                               [attentionAxes]int32
	axes, first, perBatch               int32
	rows, keys, dim, width              int32
	masked, window                      int32
	startWide, divide                   int32
	scale, softcap                      float32
	maskedBy, _                         int32
}

// AttentionScratch is the scratch memory in bytes that an attention of these
// sizes needs; heads are of the whole batch.
func AttentionScratch(heads, rows, keys, width int) int {
	if heads == 0 || rows == 0 || keys == 0 || width == 0 {
		return 0
	}
	return chooseKernel(heads, rows, keys, width).scratch(rows, keys, width)
}

// attentionKernel is how an attention is computed, which changes no bits.
type attentionKernel struct {
	tiles  bool
	atOnce int // heads of a launch without tiles
}

func chooseKernel(heads, rows, keys, width int) attentionKernel {
	one := attentionKernel{atOnce: 1}.scratch(rows, keys, width)
	atOnce := min(heads, max(1, min(partialBytes/one, attentionCounters/((rows+fewRows-1)/fewRows))))
	tiles := heads * ((rows + tileRows - 1) / tileRows)
	return attentionKernel{rows >= tilesFrom && (rows >= tilesAlways || tiles >= fullGrid || atOnce < heads), atOnce}
}

func (c attentionKernel) scratch(rows, keys, width int) int {
	if c.tiles {
		return 0
	}
	return c.atOnce * rows * blocks(keys) * partialFloats(width) * 4
}

func blocks(keys int) int { return (keys + KeyBlock - 1) / KeyBlock }

// partialFloats is what a block of keys gives one row.
func partialFloats(width int) int { return (width+3)/4*4 + 4 }

// Attention launches an attention.
func (s *Set) Attention(st driver.Stream, a *Attention) error {
	r := len(a.Q.Shape)
	if err := a.check(r); err != nil {
		return err
	}
	rows, keys, width := a.Q.Shape[r-2], a.K.Shape[r-2], a.V.Shape[r-1]
	heads := a.heads()
	switch {
	case heads == 0 || rows == 0 || width == 0:
		return nil
	case keys == 0:
		return s.Fill(st, a.Out, 0, heads*rows*width)
	}
	return s.attention(st, a, chooseKernel(heads, rows, keys, width))
}

// heads is the number of heads of the batch.
func (a *Attention) heads() int {
	n := 1
	for _, d := range a.Q.Shape[:len(a.Q.Shape)-2] {
		n *= d
	}
	return n
}

// attention launches a kernel for operands that are not empty.
func (s *Set) attention(st driver.Stream, a *Attention, c attentionKernel) error {
	r, heads := len(a.Q.Shape), a.heads()
	rows, dim := a.Q.Shape[r-2], a.Q.Shape[r-1]
	keys, width := a.K.Shape[r-2], a.V.Shape[r-1]
	k := attend{
		out: a.Out, partial: a.Scratch, counters: a.Counters, perBatch: int32(heads / a.Q.Shape[0]),
		rows: int32(rows), keys: int32(keys), dim: int32(dim), width: int32(width), scale: a.Scale, softcap: a.Softcap,
		q: matrices{at: a.Q.At}, k: matrices{at: a.K.At, table: a.K.Table, pageRows: int32(a.K.PageRows)},
		v: matrices{at: a.V.At, table: a.V.Table, pageRows: int32(a.V.PageRows)},
	}
	a.visible(&k)
	k.outRow, k.outHead = int64(width), int64(rows*width)
	k.outBatch = int64(k.perBatch) * k.outHead
	if a.Merge {
		k.outRow, k.outHead = int64(k.perBatch)*k.outRow, k.outRow
	}
	if err := a.headAxes(&k); err != nil {
		return err
	}
	if c.tiles {
		return s.attendTiles(st, &k, heads)
	}
	return s.attendFew(st, &k, heads, c.atOnce)
}

func (s *Set) attendTiles(st driver.Stream, k *attend, heads int) error {
	name, cols := "attend_tile_64", 64
	if k.width > 64 {
		name, cols = "attend_tile_128", 128
	}
	grid := driver.Dim{X: heads, Y: (int(k.rows) + tileRows - 1) / tileRows, Z: (int(k.width) + cols - 1) / cols}
	if grid.Y > maxGridYZ || grid.Z > maxGridYZ {
		return fmt.Errorf("genie: attention of %d rows and %d columns is too large", k.rows, k.width)
	}
	return launch(s, st, name, grid, driver.Dim{X: 256, Y: 1, Z: 1}, 0, k)
}

func (s *Set) attendFew(st driver.Stream, k *attend, heads, each int) error {
	rows, keys := int(k.rows), int(k.keys)
	if k.partial == 0 || k.counters == 0 {
		return errors.New("genie: attention without scratch memory and counters")
	}
	for ; int(k.first) < heads; k.first += int32(each) {
		grid := driver.Dim{X: blocks(keys), Y: (rows + fewRows - 1) / fewRows, Z: min(each, heads-int(k.first))}
		if err := launch(s, st, "attend_few", grid, driver.Dim{X: 128, Y: 1, Z: 1}, 0, k); err != nil {
			return err
		}
	}
	return nil
}

// check checks the operands, of rank r.
func (a *Attention) check(r int) error {
	k, v := &a.K, &a.V
	ok := r >= 3 && r <= attentionAxes+2 && len(k.Shape) == r && len(v.Shape) == r &&
		a.Q.Shape[r-1] == k.Shape[r-1] && k.Shape[r-2] == v.Shape[r-2]
	for d := 0; ok && d < r-2; d++ {
		q, n := a.Q.Shape[d], k.Shape[d]
		ok = v.Shape[d] == n && (q == n || d == r-3 && n > 0 && q%n == 0)
	}
	if !ok || a.heads() > math.MaxInt32 {
		return fmt.Errorf("genie: attention of queries %v, keys %v and values %v", a.Q.Shape, k.Shape, v.Shape)
	}
	for _, t := range [...]*Tensor{&a.Q, &k.Tensor, &v.Tensor} {
		if t.DType != plan.F32 || t.Shape[r-1] > 1 && t.Strides[r-1] != 1 {
			return fmt.Errorf("genie: attention of %v with stride %d of elements, want f32 and 1", t.DType, t.Strides[r-1])
		}
		for _, d := range t.Shape {
			if d > math.MaxInt32-tileRows {
				return fmt.Errorf("genie: attention of %v is too large", t.Shape)
			}
		}
	}
	for _, p := range [...]*Paged{k, v} {
		if p.Table != 0 && (p.PageRows < KeyBlock || p.PageRows%KeyBlock != 0 || p.PageRows > math.MaxInt32) {
			return fmt.Errorf("genie: attention over pages of %d rows, want a multiple of %d", p.PageRows, KeyBlock)
		}
	}
	if a.Mask.At != 0 && (a.Mask.DType != plan.F32 && a.Mask.DType != plan.Bool || len(a.Mask.Shape) > r) {
		return fmt.Errorf("genie: attention with a mask %v %v", a.Mask.DType, a.Mask.Shape)
	}
	if a.Start.At != 0 && (!a.Start.DType.IsInt() || len(a.Start.Shape) != 1) {
		return fmt.Errorf("genie: attention with starts %v %v", a.Start.DType, a.Start.Shape)
	}
	return nil
}

// visible sets what the scores are scaled by and which keys a row sees.
func (a *Attention) visible(k *attend) {
	if a.Masked {
		k.masked, k.window = 1, int32(min(a.Window, math.MaxInt32))
	}
	if a.Start.At != 0 {
		k.start, k.startStride = a.Start.At, int64(a.Start.Strides[0])
		if a.Start.DType == plan.I64 {
			k.startWide = 1
		}
	}
	if a.Mask.At != 0 {
		if k.mask, k.maskedBy = a.Mask.At, 1; a.Mask.DType == plan.Bool {
			k.maskedBy = 2
		}
		k.maskRow, k.maskKey = int64(a.maskStride(1)), int64(a.maskStride(0))
	}
	if a.Divide {
		k.divide = 1
		// A power of two has an inverse, which gives the same bits.
		if f, e := math.Frexp(float64(a.Scale)); math.Abs(f) == 0.5 && e > -120 && e < 120 {
			k.divide, k.scale = 0, 1/a.Scale
		}
	}
}

// maskStride is the distance of two elements of the mask along an axis, counted from
// the last one; 0 where it is broadcast.
func (a *Attention) maskStride(d int) int {
	if at := len(a.Mask.Shape) - 1 - d; a.Mask.At != 0 && at >= 0 && a.Mask.Shape[at] != 1 {
		return a.Mask.Strides[at]
	}
	return 0
}

// headAxes sets the strides: adjacent axes of heads are one where all operands
// permit it. The heads that share keys are an axis of their own.
func (a *Attention) headAxes(k *attend) error {
	r := len(a.Q.Shape)
	tensors := [...]*Tensor{&a.Q, &a.K.Tensor, &a.V.Tensor}
	for i, m := range [...]*matrices{&k.q, &k.k, &k.v} {
		m.row = int64(tensors[i].Strides[r-2])
	}
	for d := range r - 2 {
		q, mask := a.Q.Strides[d], a.maskStride(r-1-d)
		keys, each := a.K.Shape[d], 1
		if a.Q.Shape[d] != keys {
			each = a.Q.Shape[d] / keys
		}
		if !k.addAxis(keys, each*q, a.K.Strides[d], a.V.Strides[d], each*mask) || !k.addAxis(each, q, 0, 0, mask) {
			return fmt.Errorf("genie: attention of %v has too many axes of heads", a.Q.Shape)
		}
	}
	for i, m := range [...]*matrices{&k.q, &k.k, &k.v} {
		m.setWide(tensors[i].Shape[r-1], int(k.axes))
	}
	return nil
}

// addAxis adds an axis of heads, or extends the last one; false if there are too
// many. Strides are those of queries, keys, values and the mask.
func (k *attend) addAxis(size int, strides ...int) bool {
	if size == 1 {
		return true
	}
	n, joins := int(k.axes), k.axes > 0
	last := [...]*[attentionAxes]int64{&k.q.head, &k.k.head, &k.v.head, &k.maskHead}
	for i, of := range last {
		joins = joins && of[n-1] == int64(strides[i])*int64(size)
	}
	if joins {
		n--
		size *= int(k.shape[n])
	}
	if n == attentionAxes {
		return false
	}
	k.shape[n], k.axes = int32(size), int32(n+1)
	for i, of := range last {
		of[n] = int64(strides[i])
	}
	return true
}

// setWide sets whether rows of so many elements can be read four at a time.
func (m *matrices) setWide(elements, axes int) {
	all := int64(elements) | m.row | int64(m.at)/4
	for _, h := range m.head[:axes] {
		all |= h
	}
	if all%4 == 0 && m.at%4 == 0 {
		m.wide = 1
	}
}

// The argument is passed as it is: its size must be a multiple of 8.
var _ = [1]struct{}{}[unsafe.Sizeof(attend{})%8]
