package normal

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/spellings"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

func TestScratch(t *testing.T) {
	cs, err := spellings.Load("../../testdata/spellings")
	require.NoError(t, err)
	for _, c := range cs {
		if c.Name == "rms_norm" || c.File == "x" {
			continue
		}
		first := ""
		for _, s := range append(c.Spellings, c.Traps...) {
			g, _, err := c.Program(s, spellings.Args{Weight: randomWeight})
			if !assert.NoError(t, err) {
				continue
			}
			f, err := Of(g, nil, nil)
			require.NoError(t, err)
			text := describe(f.Graph)
			if first == "" {
				first = text
			}
			ok := text == first
			fmt.Println(c.Name, s.Name, ok, f.Notes)
			if !ok {
				fmt.Println(text)
			}
			sameValues(t, g, f, plan.Bindings{"b": 2, "t": 5, "s": 7, "past": 4})
		}
		fmt.Println(first)
	}
}

func randomWeight(name string, shape []int) []float32 {
	a := op.NewArray(plan.F32, shape...)
	fill(a, name)
	return a.F32()
}

// describe is what the outputs of a program are computed from.
func describe(g *lazy.Graph) string {
	var s strings.Builder
	num := map[*lazy.Tensor]int{}
	var visit func(t *lazy.Tensor) int
	visit = func(t *lazy.Tensor) int {
		if n, ok := num[t]; ok {
			return n
		}
		var in []int
		for _, x := range t.In() {
			in = append(in, visit(x))
		}
		num[t] = len(num)
		switch {
		case t.Op() != nil:
			fmt.Fprintf(&s, "  %d = %s{%s}%v %v\n", num[t], t.Op().Name(), t.Op().Attrs().Key(), in, t.Shape())
		case t.Kind() == lazy.KindConst:
			fmt.Fprintf(&s, "  %d = const %v %x\n", num[t], t.Shape(), t.ConstData()[:min(8, len(t.ConstData()))])
		default:
			fmt.Fprintf(&s, "  %d = %s %v\n", num[t], t.Name(), t.Shape())
		}
		return num[t]
	}
	for _, o := range g.Outputs() {
		visit(o.Tensor)
	}
	for _, c := range g.Carries() {
		visit(c.Out)
	}
	return s.String()
}

var _ = rand.Int
