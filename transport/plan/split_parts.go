package plan

import (
	"cmp"
	"fmt"
	"slices"
)

// placeOf is where a part runs.
type placeOf struct{ round, device int }

// split makes the parts and edges.
func (s *splitter) split() (*Split, error) {
	out := &Split{Whole: s.p}
	part := s.parts(out) // by step
	m := &partMaker{splitter: s, out: out, part: part, use: make([]map[int]int, len(out.Parts)), given: make([]map[int]int, len(out.Parts))}
	for i := range out.Parts {
		m.use[i], m.given[i] = map[int]int{}, map[int]int{}
	}
	m.steps()
	m.states()
	m.outputs()
	symbols := map[string]int{}
	for i, name := range s.p.Symbols() {
		symbols[name] = i
	}
	for i := range out.Parts {
		p := out.Parts[i].Plan
		for _, name := range p.Symbols() {
			out.Parts[i].Symbols = append(out.Parts[i].Symbols, symbols[name])
		}
		m.buffers(i)
		p.Version = p.Needs()
		if err := p.Validate(); err != nil {
			return nil, fmt.Errorf("part %d of the plan: %w", i, err)
		}
	}
	return out, nil
}

// parts makes the parts, without content, and says which one each step is in.
func (s *splitter) parts(out *Split) []int {
	var places []placeOf
	for i := range s.p.Steps {
		places = append(places, placeOf{s.ready[i], s.device[i]})
	}
	list := slices.Clone(places)
	slices.SortFunc(list, func(a, b placeOf) int { return cmp.Or(cmp.Compare(a.round, b.round), cmp.Compare(a.device, b.device)) })
	list = slices.Compact(list)
	at := map[placeOf]int{}
	for i, k := range list {
		at[k] = i
		out.Parts = append(out.Parts, Part{Device: k.device, Round: k.round, Plan: &Plan{
			Name: s.p.Name, Phase: s.p.Phase, Policy: s.p.Policy,
			Values: []Value{}, Steps: []Step{}, Inputs: []Port{}, Outputs: []Output{}, States: []State{},
		}})
	}
	part := make([]int, len(places))
	for i, k := range places {
		part[i] = at[k]
	}
	return part
}

// partMaker fills the parts.
type partMaker struct {
	*splitter
	out   *Split
	part  []int         // by step
	use   []map[int]int // by part: values of the whole to those of the part
	given []map[int]int // by part: values of the whole to the outputs for edges
}

// steps gives each part its steps, in the order of the whole.
func (m *partMaker) steps() {
	for i := range m.p.Steps {
		k := m.part[i]
		part := &m.out.Parts[k]
		step := m.p.Steps[i]
		step.Device = 0
		step.In = make([]int, len(m.p.Steps[i].In))
		for j, v := range m.p.Steps[i].In {
			step.In[j] = m.value(k, v)
		}
		step.Out = m.add(k, step.Out)
		part.Plan.Steps = append(part.Plan.Steps, step)
		part.Steps = append(part.Steps, i)
	}
}

// add puts a value into a part as it is.
func (m *partMaker) add(k, v int) int {
	p := m.out.Parts[k].Plan
	p.Values = append(p.Values, m.p.Values[v])
	m.use[k][v] = len(p.Values) - 1
	return len(p.Values) - 1
}

// value is a value of the whole in a part, which gets it from where it is.
func (m *partMaker) value(k, v int) int {
	if at, ok := m.use[k][v]; ok {
		return at
	}
	switch m.p.Values[v].Kind {
	case KindTemp:
		return m.edge(k, v)
	case KindInput:
		at := m.add(k, v)
		port := slices.IndexFunc(m.p.Inputs, func(in Port) bool { return in.Value == v })
		m.port(k, m.p.Inputs[port].Name, at, PartPort{Port: port})
		return at
	default:
		return m.add(k, v)
	}
}

// port adds an input to a part.
func (m *partMaker) port(k int, name string, value int, from PartPort) {
	part := &m.out.Parts[k]
	part.Plan.Inputs = append(part.Plan.Inputs, Port{Name: name, Value: value})
	part.Inputs = append(part.Inputs, from)
}

// edge takes a value from the part that computes it.
func (m *partMaker) edge(k, v int) int {
	from := m.part[m.of[v]]
	p := m.out.Parts[k].Plan
	p.Values = append(p.Values, Value{Kind: KindInput, Name: m.p.Values[v].Name, Spec: m.p.Values[v].Spec, Buffer: NoBuffer})
	at := len(p.Values) - 1
	m.use[k][v] = at
	e := Edge{Value: v, From: from, To: k, Output: m.give(from, v, k), Input: len(p.Inputs)}
	m.out.Edges = append(m.out.Edges, e)
	n := len(m.out.Edges) - 1
	m.port(k, m.edgeName(v), at, PartPort{Port: -1, Edges: []int{n}})
	port := &m.out.Parts[from].Outputs[e.Output]
	port.Edges = append(port.Edges, n)
	return at
}

// give is the output of a part for the edges of a value. It is retained where a
// later part of the device reads it.
func (m *partMaker) give(from, v, to int) int {
	part := &m.out.Parts[from]
	at, ok := m.given[from][v]
	if !ok {
		at = len(part.Plan.Outputs)
		m.given[from][v] = at
		part.Plan.Outputs = append(part.Plan.Outputs, Output{
			Name: m.edgeName(v), Value: m.use[from][v], Place: Download, Cause: CauseActivation,
		})
		part.Outputs = append(part.Outputs, PartPort{Port: -1})
	}
	if m.out.Parts[to].Device == part.Device {
		part.Plan.Outputs[at].Place = Retain
	}
	return at
}

// edgeName is the name of a value that goes from part to part. A port of the
// whole with that name would be another value's: names that begin so are taken
// from nobody, since the value's number makes them longer until they are free.
func (m *partMaker) edgeName(v int) string {
	name := fmt.Sprintf("value.%d", v)
	for slices.ContainsFunc(m.p.Inputs, func(in Port) bool { return in.Name == name }) ||
		slices.ContainsFunc(m.p.Outputs, func(o Output) bool { return o.Name == name }) {
		name += "."
	}
	return name
}

// states gives each carried state to the part that has its steps.
func (m *partMaker) states() {
	for i, st := range m.p.States {
		k := 0
		if s := m.home[i]; s >= 0 {
			k = m.part[s]
		}
		part := &m.out.Parts[k]
		st.In = m.value(k, st.In)
		st.Out = m.value(k, st.Out)
		part.Plan.States = append(part.Plan.States, st)
		part.States = append(part.States, i)
		if st.Mode == StateReplace && st.In != st.Out && !m.last(k) {
			m.save(k)
		}
	}
}

// last reports whether a part runs after all others: when it fails no other has
// to be undone, and when it has run no other can fail.
func (m *partMaker) last(k int) bool {
	before := map[int]bool{k: true}
	for again := true; again; {
		again = false
		for _, e := range m.out.Edges {
			if before[e.To] && !before[e.From] {
				before[e.From], again = true, true
			}
		}
	}
	return len(before) == len(m.out.Parts)
}

// save makes the latest state of a part leave it as it was before the run.
func (m *partMaker) save(k int) {
	part := &m.out.Parts[k]
	state := len(part.Plan.States) - 1
	st := &part.Plan.States[state]
	name := "before." + st.Name
	for len(name) > MaxNameLen || slices.ContainsFunc(part.Plan.Outputs, func(o Output) bool { return o.Name == name }) ||
		slices.ContainsFunc(m.p.Outputs, func(o Output) bool { return o.Name == name }) {
		name = fmt.Sprintf("before.%d.%d", state, len(name))
	}
	part.Saves = append(part.Saves, Save{State: state, Output: len(part.Plan.Outputs)})
	part.Plan.Outputs = append(part.Plan.Outputs, Output{Name: name, Value: st.In, Place: Retain, Cause: CauseKV})
	part.Outputs = append(part.Outputs, PartPort{Port: -1})
}

// outputs gives each output of the whole to the part that has its value.
func (m *partMaker) outputs() {
	for i, o := range m.p.Outputs {
		k := 0
		switch s := m.of[o.Value]; {
		case s >= 0:
			k = m.part[s]
		case m.state[o.Value] >= 0:
			if h := m.home[m.state[o.Value]]; h >= 0 {
				k = m.part[h]
			}
		default:
			for j := range m.out.Parts {
				if _, ok := m.use[j][o.Value]; ok {
					k = j
					break
				}
			}
		}
		part := &m.out.Parts[k]
		o.Value = m.value(k, o.Value)
		part.Plan.Outputs = append(part.Plan.Outputs, o)
		part.Outputs = append(part.Outputs, PartPort{Port: i})
	}
}

// buffers gives each value of a part scratch of its own, and a view that of what
// it views: a view has the buffer of its first operand in the whole, where no
// other value has it at that time. An executor shares scratch by itself.
func (m *partMaker) buffers(k int) {
	part := &m.out.Parts[k]
	p := part.Plan
	leaves := map[int]bool{}
	for _, o := range p.Outputs {
		leaves[o.Value] = true
	}
	for _, st := range p.States {
		leaves[st.Out] = true
	}
	p.Buffers = 0
	for j, i := range part.Steps {
		step := &p.Steps[j]
		own := !m.view(&m.p.Steps[i])
		// What an expand repeats has memory of its own where it leaves the run.
		own = own || step.Op == "expand" && leaves[step.Out]
		if own {
			p.Values[step.Out].Buffer = p.Buffers
			p.Buffers++
		} else {
			p.Values[step.Out].Buffer = p.Values[step.In[0]].Buffer
		}
	}
}
