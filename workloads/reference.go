package workloads

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
)

// ErrReference is the cause of an error about a file of expected outputs.
var ErrReference = errors.New("genie: unusable reference")

// Logits are scores that another implementation computed, row by row.
type Logits struct {
	Rows, Columns int
	Values        []float32
	Size          int // height and width of the images
	// CloseCalls lets the largest element of a row be another one where the two
	// are closer than the tolerance, which happens in arbitrary checkpoints.
	CloseCalls bool
}

// ReadLogits reads the output of testdata/scripts/make_workload_references.py.
// Errors wrap [ErrReference].
func ReadLogits(file string) (Logits, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Logits{}, fmt.Errorf("%w: %w", ErrReference, err)
	}
	var l StoredLogits
	if err := json.Unmarshal(text, &l); err != nil {
		return Logits{}, fmt.Errorf("%w: %s: %w", ErrReference, file, err)
	}
	return l.Read(file)
}

// StoredLogits is the stored form of logits.
type StoredLogits struct {
	Shape  [2]int `json:"shape"`
	Size   int    `json:"size"`
	Logits string `json:"logits"` // base64 of float32, little endian
}

// Read decodes the logits of a file. Errors wrap [ErrReference].
func (f StoredLogits) Read(file string) (Logits, error) {
	data, err := base64.StdEncoding.DecodeString(f.Logits)
	if err != nil {
		return Logits{}, fmt.Errorf("%w: %s: %w", ErrReference, file, err)
	}
	l := Logits{Rows: f.Shape[0], Columns: f.Shape[1], Size: f.Size, Values: make([]float32, len(data)/4)}
	if l.Rows < 1 || l.Columns < 1 || len(data) != 4*l.Rows*l.Columns {
		return Logits{}, fmt.Errorf("%w: %s: %d bytes for %v", ErrReference, file, len(data), f.Shape)
	}
	for i := range l.Values {
		l.Values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return l, nil
}

// First are the first rows of l, which a smaller batch computes too.
func (l Logits) First(rows int) (Logits, error) {
	if rows < 1 || rows > l.Rows {
		return Logits{}, fmt.Errorf("%w: %d rows of %d", ErrReference, rows, l.Rows)
	}
	l.Rows, l.Values = rows, l.Values[:rows*l.Columns]
	return l, nil
}

// Tolerance is the error that [Logits.Verify] allows, relative to the largest
// logit: the effect of another order of float32 summation in a deep network,
// and a margin.
const Tolerance = 1e-4

// Verify compares got, row-major, with l: no element may differ by more than
// [Tolerance] times the largest logit, and each row must have its largest
// element at the same place. It returns the largest absolute difference. Errors
// wrap [ErrMismatch].
func (l Logits) Verify(what string, got []float32) (float64, error) {
	if len(got) != len(l.Values) {
		return 0, fmt.Errorf("%w: %s has %d elements, want %d", ErrMismatch, what, len(got), len(l.Values))
	}
	top, worst, at := 0.0, 0.0, 0
	for i, want := range l.Values {
		top = max(top, math.Abs(float64(want)))
		d := math.Abs(float64(got[i]) - float64(want))
		if d > worst || math.IsNaN(d) {
			worst, at = d, i
		}
		if math.IsNaN(d) {
			break
		}
	}
	if !(worst <= Tolerance*top) {
		return worst, fmt.Errorf("%w: %s[%d, %d] is %v, want %v; the largest is %v",
			ErrMismatch, what, at/l.Columns, at%l.Columns, got[at], l.Values[at], top)
	}
	for r := range l.Rows {
		lo, hi := r*l.Columns, (r+1)*l.Columns
		g, w := largest(got[lo:hi]), largest(l.Values[lo:hi])
		closeCall := l.CloseCalls && float64(l.Values[lo+w]-l.Values[lo+g]) <= 2*Tolerance*top
		if g != w && !closeCall {
			return worst, fmt.Errorf("%w: row %d of %s has its largest element at %d, want %d", ErrMismatch, r, what, g, w)
		}
	}
	return worst, nil
}

// largest is the index of the first largest element.
func largest(v []float32) int {
	best := 0
	for i, x := range v {
		if x > v[best] {
			best = i
		}
	}
	return best
}
