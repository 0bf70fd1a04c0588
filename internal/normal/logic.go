package normal

import "github.com/genie-sdk/go/internal/op"

// logicWithConstant leaves true out of a conjunction and false out of a
// disjunction, and makes the negation of a negation the value: a node fewer.
func logicWithConstant(_ *builder, n *node) (*node, bool) {
	if _, ok := n.op.(op.Logic); !ok {
		if n.is("not") && n.in[0].is("not") {
			return n.in[0].in[0], true
		}
		return nil, false
	}
	neutral := map[string]float64{"and": 1, "or": 0}
	want, ok := neutral[n.op.Name()]
	for i, x := range n.in {
		v, isNumber := n.in[1-i].number()
		if ok && isNumber && v == want && sameSpec(x.spec, n.spec) {
			return x, true
		}
	}
	if ok && n.in[0] == n.in[1] {
		return n.in[0], true
	}
	return nil, false
}
