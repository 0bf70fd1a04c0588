package gorgonia

import "gorgonia.org/gorgonia"

// Children are the operands of a node.
func Children(n *gorgonia.Node) []*gorgonia.Node {
	kids, err := children(n)
	if err != nil {
		panic(err)
	}
	return kids
}
