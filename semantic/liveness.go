package semantic

// liveness marks tensors that no output, carried pair or hint needs as dead,
// and lists the live readers of every tensor. The later recognisers consider
// live tensors only: a value that is never computed means nothing.
type liveness struct{}

func (liveness) Name() string { return "liveness" }

func (liveness) Recognise(a *analysis) error {
	live := make([]bool, len(a.tensors))
	for _, o := range a.Graph.Outputs() {
		live[o.Tensor.ID()] = true
	}
	for _, c := range a.Graph.Carries() {
		live[c.In.ID()], live[c.Out.ID()] = true, true
	}
	for id := range a.hints.tensors {
		live[id] = true
	}
	uses := make([]int, len(a.tensors))
	total := 0
	for id := len(a.tensors) - 1; id >= 0; id-- {
		a.Nodes[id].Dead = !live[id]
		if !live[id] {
			continue
		}
		for _, in := range a.tensors[id].In() {
			live[in.ID()] = true
			uses[in.ID()]++
			total++
		}
	}
	all := make([]reader, 0, total)
	a.readers = make([][]reader, len(a.tensors))
	for id, n := range uses {
		a.readers[id] = all[len(all) : len(all) : len(all)+n]
		all = all[:len(all)+n]
	}
	for id, t := range a.tensors {
		if !live[id] {
			continue
		}
		for i, in := range t.In() {
			a.readers[in.ID()] = append(a.readers[in.ID()], reader{id, i})
		}
	}
	return nil
}
