package main

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/genie-sdk/go/lazy/gorgonia"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// TestGorgonia runs the network on Gorgonia's own operators, and draws the graph of
// it with concrete shapes.
func TestGorgonia(t *testing.T) {
	const batch = 3
	n := newNetwork(1)
	x, scores, err := n.capture()
	if err != nil {
		t.Fatal(err)
	}
	sizes := plan.Bindings{"batch": batch}
	inst, err := gorgonia.Instantiate(x.Graph(), sizes)
	if err != nil {
		t.Fatal(err)
	}
	if dot := inst.ToDot(); !strings.Contains(dot, "digraph") || inst.Node(scores) == nil {
		t.Errorf("no drawing: %.80s", dot)
	}

	p, err := gorgonia.LowerStock(x.Graph(), sizes, scores)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	data := make([]float32, batch*features)
	input := transport.Tensor{DType: plan.F32, Shape: []int{batch, features}}
	for i := range data {
		data[i] = float32(i%7) - 3
		input.Data = binary.LittleEndian.AppendUint32(input.Data, math.Float32bits(data[i]))
	}
	if err := p.Feed(x, input); err != nil {
		t.Fatal(err)
	}
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	out, err := p.Value(scores)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, len(out.Data)/4)
	for i := range got {
		got[i] = math.Float32frombits(binary.LittleEndian.Uint32(out.Data[4*i:]))
	}
	if _, err := compare(got, n.forward(data)); err != nil {
		t.Error(err)
	}
}
