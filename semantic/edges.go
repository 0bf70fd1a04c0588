package semantic

import (
	"slices"

	"github.com/genie-sdk/go/transport/plan"
)

// Edge is the transfer of a tensor from its producer to one reader.
type Edge struct {
	From, To int // tensor ids
	// Bytes is the amount that the reader reads, in storage bytes.
	Bytes float64
	// Rate is how fast the producer makes it, in bytes per second: Bytes
	// divided by the producer's time on the device. A producer that takes no
	// time, a leaf or a view of one, delivers at the device's memory bandwidth,
	// and so does one whose operator was absorbed into a reader's.
	Rate float64
	// Demand is how fast the reader consumes it, in bytes per second: Bytes
	// divided by the reader's time, or the bandwidth when the reader takes no
	// time.
	Demand float64
	// Critical is set on the edges of a longest path through the graph by
	// device time: a run becomes faster only if the nodes on this path do.
	Critical bool
}

// ReferenceDevice is the device that [SRG.Edges] assumes: one CPU socket of 200
// GFLOP/s and 25 GB/s with this module's kernels. Rates and the critical path
// depend on the ratio.
func ReferenceDevice() Device {
	return Device{FLOPS: 200e9, Bandwidth: 25e9, Lacks: withoutKernel()}
}

// Edges lists the live edges with the symbols bound to b, on
// [ReferenceDevice], ordered by reader and then by operand.
func (s *SRG) Edges(b plan.Bindings) ([]Edge, error) { return s.EdgesOn(ReferenceDevice(), b) }

// EdgesOn is [SRG.Edges] for another device.
func (s *SRG) EdgesOn(d Device, b plan.Bindings) ([]Edge, error) {
	sizes, err := s.bind(b)
	if err != nil {
		return nil, err
	}
	n := len(s.Nodes)
	own, err := s.timesOn(d, b)
	if err != nil {
		return nil, err
	}
	made := make([]float64, n)   // time of the producer of its memory
	finish := make([]float64, n) // longest path that ends at the tensor
	total := 0.0
	count := 0
	for id := range s.Nodes {
		if s.Nodes[id].Dead {
			continue
		}
		t := s.Nodes[id].Tensor
		made[id] = own[id]
		switch from := s.capturedOf(s.normalOf(t)); {
		case t.Op() != nil && isView(t):
			made[id] = made[t.In()[0].ID()]
		case from != nil && from.ID() < id:
			made[id] = made[from.ID()]
		}
		for _, in := range t.In() {
			finish[id] = max(finish[id], finish[in.ID()])
			count++
		}
		finish[id] += own[id]
		total = max(total, finish[id])
	}
	tail := s.tails(own)
	edges := make([]Edge, 0, count)
	for id := range s.Nodes {
		if s.Nodes[id].Dead {
			continue
		}
		for i, in := range s.Nodes[id].Tensor.In() {
			from := in.ID()
			e := Edge{From: from, To: id, Bytes: s.storedBytes(in, sizes[from])}
			if is(s.Nodes[id].Tensor, "embedding") && i == 0 {
				e.Bytes = elements(sizes[id]) * float64(s.storage(in).Size())
			}
			e.Rate, e.Demand = rate(e.Bytes, made[from], d), rate(e.Bytes, own[id], d)
			e.Critical = total > 0 && finish[from]+own[id]+tail[id] >= total*(1-1e-12)
			edges = append(edges, e)
		}
	}
	return edges, nil
}

// tails computes the longest path after each tensor.
func (s *SRG) tails(own []float64) []float64 {
	tail := make([]float64, len(own))
	for id, o := range slices.Backward(own) {
		if s.Nodes[id].Dead {
			continue
		}
		for _, in := range s.Nodes[id].Tensor.In() {
			tail[in.ID()] = max(tail[in.ID()], tail[id]+o)
		}
	}
	return tail
}

func rate(bytes, seconds float64, d Device) float64 {
	if seconds > 0 {
		return bytes / seconds
	}
	return d.Bandwidth
}
