package program

// linear is a product with one matrix and the elementwise steps after it.
func (f *fuser) linear(i int) (Group, bool) {
	if !f.flatMatMul(i) {
		return Group{}, false
	}
	s := &f.p.Steps[i]
	g := Group{Steps: []int{i}, Kind: Linear, In: s.In, Out: s.Out}
	for {
		next, st, ok := f.stage(g.Out, f.denseRows)
		if !ok || len(g.Stages) == maxStages {
			return g, true
		}
		g.Steps, g.Stages, g.Out = append(g.Steps, next), append(g.Stages, st), f.p.Steps[next].Out
	}
}
