package normal

import (
	"slices"
)

// dependsOnInput reports whether n is computed from more than weights and
// constants.
func (b *builder) dependsOnInput(n *node) bool {
	if n.op == nil {
		return n.isInput()
	}
	if v, ok := b.varies[n]; ok {
		return v
	}
	v := false
	for _, x := range n.in {
		v = v || b.dependsOnInput(x)
	}
	if b.varies == nil {
		b.varies = map[*node]bool{}
	}
	b.varies[n] = v
	return v
}

// dependsOn reports whether n is computed from x. What was made before x does
// not depend on it.
func (b *builder) dependsOn(n, x *node) bool {
	seen := map[*node]bool{}
	var visit func(n *node) bool
	visit = func(n *node) bool {
		if n == x {
			return true
		}
		if n.seq <= x.seq || seen[n] {
			return false
		}
		seen[n] = true
		return slices.ContainsFunc(n.in, visit)
	}
	return visit(n)
}
