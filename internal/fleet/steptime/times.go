package steptime

import (
	"fmt"
	"sort"

	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// The sizes at which times are predicted; between two of them they are linear.
var (
	batches = []int{1, 2, 4, 8, 16, 32, 64, 128, 256}
	lengths = []int{1, 64, 256, 1024, 4096, 16384}
	rows    = []int{1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048}
	pasts   = []int{0, 256, 1024, 4096, 16384}
)

// rowBatch is the number of sequences from which the time of one sequence's
// cached rows is derived.
const rowBatch = 8

// Line is a function given at increasing sizes, linear between two of them and
// beyond the last.
type Line struct {
	At      []int
	Seconds []float64
}

// Value is the function at n.
func (l *Line) Value(n int) float64 {
	last := len(l.At) - 1
	if last < 0 {
		return 0
	}
	if last == 0 {
		return l.Seconds[0]
	}
	i := min(max(sort.SearchInts(l.At, n), 1), last)
	x0, x1, y0, y1 := l.At[i-1], l.At[i], l.Seconds[i-1], l.Seconds[i]
	return y0 + (y1-y0)*float64(n-x0)/float64(x1-x0)
}

// Times are the times of one decoder's steps on one device.
type Times struct {
	// Decoding is the time of a decode step by the number of sequences, without
	// the rows of their caches, and Cached what one sequence adds for its rows.
	Decoding, Cached Line
	// Prompt is the time of a piece of a prompt by its rows, one line for each
	// number of cached rows before it in Past.
	Past   []int
	Prompt []Line
	Source string // of the speeds; see [semantic.Device.Source]
}

// Decode is the time of one token of each of n sequences, without their caches.
func (t *Times) Decode(n int) float64 {
	if n < 1 {
		return 0
	}
	return t.Decoding.Value(n)
}

// Row is what a sequence with cached rows adds to a decode step.
func (t *Times) Row(cached int) float64 { return max(t.Cached.Value(cached), 0) }

// Prefill is the time of rows of a prompt after cached ones.
func (t *Times) Prefill(n, cached int) float64 {
	if n < 1 || len(t.Past) == 0 {
		return 0
	}
	if len(t.Past) == 1 {
		return t.Prompt[0].Value(n)
	}
	i := min(max(sort.SearchInts(t.Past, cached), 1), len(t.Past)-1)
	x0, x1 := t.Past[i-1], t.Past[i]
	y0, y1 := t.Prompt[i-1].Value(n), t.Prompt[i].Value(n)
	return y0 + (y1-y0)*float64(cached-x0)/float64(x1-x0)
}

// Times predicts the times of the decoder's steps on a device. Layers are
// alike, so one and two of them are priced and the others are like the second.
func (d Decoder) Times(on semantic.Device) (*Times, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	weights, release, err := content(d.largest())
	if err != nil {
		return nil, err
	}
	defer release()
	var p pricer
	p.on, p.layers = on, d.Layers
	for i := range p.of {
		if p.of[i], err = d.capture(i+1, weights); err != nil {
			return nil, fmt.Errorf("times of a decoder: %w", err)
		}
	}
	t := &Times{Source: on.Source, Past: pasts}
	for _, n := range batches {
		t.Decoding.add(n, p.seconds(n, 1, lengths[0]))
	}
	base := p.seconds(rowBatch, 1, lengths[0])
	for _, n := range lengths {
		t.Cached.add(n, (p.seconds(rowBatch, 1, n)-base)/rowBatch)
	}
	for _, past := range pasts {
		var l Line
		for _, n := range rows {
			l.add(n, p.seconds(1, n, past))
		}
		t.Prompt = append(t.Prompt, l)
	}
	return t, p.err
}

func (l *Line) add(n int, seconds float64) {
	l.At, l.Seconds = append(l.At, n), append(l.Seconds, seconds)
}

// pricer prices runs; the first error sticks.
type pricer struct {
	of     [2]*semantic.SRG // with one and two layers
	on     semantic.Device
	layers int
	err    error
}

func (p *pricer) seconds(batch, seq, past int) float64 {
	var s [2]float64
	for i, srg := range p.of {
		kernels, err := srg.KernelsOn(p.on, plan.Bindings{"batch": batch, "seq": seq, "past": past})
		if err != nil && p.err == nil {
			p.err = fmt.Errorf("times of %d sequences of %d rows after %d: %w", batch, seq, past, err)
		}
		for _, k := range kernels {
			s[i] += p.on.KernelSeconds(k)
		}
	}
	return s[0] + float64(p.layers-1)*max(s[1]-s[0], 0)
}
