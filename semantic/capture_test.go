package semantic

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// captured is a program as a lazy graph, with the tensor of each node.
type captured struct {
	graph *lazy.Graph
	at    map[*progNode]*lazy.Tensor
}

// capture builds the lazy graph. With rng it uses random names and a random
// topological order.
func (p *progGraph) capture(rng *rand.Rand) (*captured, error) {
	c := &captured{lazy.NewGraph("labelled"), map[*progNode]*lazy.Tensor{}}
	order := p.nodes
	if rng != nil {
		order = shuffled(p.nodes, rng)
	}
	for i, n := range order {
		name := fmt.Sprintf("%s.%d", n.name, i)
		if rng != nil {
			name = fmt.Sprintf("%c%x", 'a'+rng.IntN(26), i*7919+rng.IntN(7919))
		}
		t, err := c.node(n, name, i)
		if err != nil {
			return nil, err
		}
		c.at[n] = t
	}
	for i, n := range p.outputs {
		c.graph.Output(fmt.Sprint("out", i), c.at[n])
	}
	carries := p.carries
	if rng != nil {
		carries = append([][2]*progNode(nil), carries...)
		rng.Shuffle(len(carries), func(i, j int) { carries[i], carries[j] = carries[j], carries[i] })
	}
	for _, pair := range carries {
		c.graph.Carry(c.at[pair[0]], c.at[pair[1]])
	}
	return c, c.graph.Err()
}

// infer computes the type and shape of every node, which mutations need.
func (p *progGraph) infer() error {
	for _, n := range p.nodes {
		if n.kind != "op" {
			n.spec = plan.Spec{DType: n.dtype, Shape: n.shape}
			continue
		}
		o, err := op.New(n.op, n.attrs)
		if err != nil {
			return err
		}
		in := make([]plan.Spec, len(n.in))
		for i, x := range n.in {
			in[i] = x.spec
		}
		if n.spec, err = o.Infer(in); err != nil {
			return err
		}
	}
	return nil
}

func (c *captured) node(n *progNode, name string, serial int) (*lazy.Tensor, error) {
	dims := make([]any, len(n.shape))
	ints := make([]int, len(n.shape))
	elems := 1
	for i, d := range n.shape {
		dims[i] = d
		ints[i], _ = d.Const()
		elems *= ints[i]
	}
	switch n.kind {
	case "input":
		t := c.graph.Input(name, n.dtype, dims...)
		return t, t.Err()
	case "weight":
		w := transport.Weight{Name: name, Storage: n.dtype, Shape: ints, Data: make([]byte, elems*n.dtype.Size())}
		copy(w.Data, binary.LittleEndian.AppendUint32(nil, uint32(serial))) // makes all weights distinct
		w.Hash = transport.HashWeight(w.Storage, w.Shape, w.Data)
		t := c.graph.AddWeight(w)
		return t, t.Err()
	case "const":
		v := make([]float32, elems)
		for i := range v {
			v[i] = n.value
		}
		t := c.graph.Const(v, ints...)
		return t, t.Err()
	}
	o, err := op.New(n.op, n.attrs)
	if err != nil {
		return nil, err
	}
	in := make([]*lazy.Tensor, len(n.in))
	for i, x := range n.in {
		in[i] = c.at[x]
	}
	t := lazy.Apply(o, in...)
	return t, t.Err()
}

// shuffled returns the nodes in a random topological order.
func shuffled(nodes []*progNode, rng *rand.Rand) []*progNode {
	readers := map[*progNode][]*progNode{}
	missing := map[*progNode]int{}
	var ready []*progNode
	for _, n := range nodes {
		for _, in := range n.in {
			readers[in] = append(readers[in], n)
			missing[n]++
		}
		if len(n.in) == 0 {
			ready = append(ready, n)
		}
	}
	out := make([]*progNode, 0, len(nodes))
	for len(ready) > 0 {
		i := rng.IntN(len(ready))
		n := ready[i]
		ready[i] = ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		out = append(out, n)
		for _, r := range readers[n] {
			if missing[r]--; missing[r] == 0 {
				ready = append(ready, r)
			}
		}
	}
	return out
}

func scalar(v float32) *progNode {
	s := plan.Shape{plan.C(1)}
	return &progNode{kind: "const", dtype: plan.F32, shape: s, value: v, spec: plan.Spec{DType: plan.F32, Shape: s}}
}

// selects reports whether one of the selectors matches n: its name, a #tag, or
// *.
func selects(selectors []string, n *progNode) bool {
	for _, s := range selectors {
		if s == n.name || s == "*" {
			return true
		}
		if tag, ok := strings.CutPrefix(s, "#"); ok {
			if slices.Contains(n.tags, tag) {
				return true
			}
		}
	}
	return false
}
