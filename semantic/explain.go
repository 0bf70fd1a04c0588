package semantic

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// Explanation is a semantically rich graph and its plan under a policy, with
// the symbols bound to sizes. It marshals to JSON; [Explanation.Text] and
// [Explanation.Dot] are its other forms.
type Explanation struct {
	Graph    string        `json:"graph"`
	Phase    Phase         `json:"phase"`
	Policy   string        `json:"policy"`
	Bindings plan.Bindings `json:"bindings"`
	Device   Device        `json:"device"` // assumed for costs in seconds, rates and criticality
	Total    ExplainedCost `json:"total"`

	Nodes    []ExplainedNode   `json:"nodes"` // by id
	Edges    []ExplainedEdge   `json:"edges"`
	Caches   []ExplainedCache  `json:"kv_caches"`
	Branches []ExplainedBranch `json:"branches"`
	// Phases groups the nodes that compute by phase, in the order in which
	// phases begin.
	Phases []ExplainedPhase `json:"phases"`
	// Kernels are what computes the steps of Plan on the device, in running order,
	// and Slow sums up those that are references of operators.
	Kernels []ExplainedKernel `json:"kernels"`
	Slow    ExplainedSlow     `json:"slow"`
	Plan    *plan.Plan        `json:"plan"`
	// Buffers is the size in bytes of each scratch buffer of Plan at these
	// sizes.
	Buffers []int64 `json:"buffer_bytes"`
	// Client is the plan of the client partition: what the policy leaves to the
	// client.
	Client *plan.Plan `json:"client_plan,omitempty"`
	// Placement is where the steps of Plan run; nil of a plan for one device.
	Placement *ExplainedPlacement `json:"placement,omitempty"`
	// Notes are patterns that nearly matched.
	Notes []ExplainedNote `json:"notes,omitempty"`
}

// ExplainedNode is one tensor.
type ExplainedNode struct {
	ID        int        `json:"id"`
	Name      string     `json:"name,omitempty"` // of a leaf
	Kind      string     `json:"kind"`           // input, weight, const, or op
	Op        string     `json:"op,omitempty"`
	Call      string     `json:"call,omitempty"` // the operator with its attributes
	In        []int      `json:"in,omitempty"`
	DType     plan.DType `json:"dtype"`
	Storage   plan.DType `json:"storage"` // storage type: half precision for some weights
	Shape     plan.Shape `json:"shape"`
	Sizes     []int      `json:"sizes"`
	Phase     Phase      `json:"phase"`
	Residency Residency  `json:"residency"`
	Modality  Modality   `json:"modality"`
	Branch    int        `json:"branch"`
	Attention int        `json:"attention,omitempty"`
	Sampling  bool       `json:"sampling,omitempty"`
	// Dead is set on what nothing reads: it has no sizes and no cost.
	Dead bool `json:"dead,omitempty"`
	// Location is where the program captured it, as in gpt2/model.go:120.
	Location string `json:"location,omitempty"`
	// As is the operator that computes it in the program's normal form, where
	// that is another than Call: gelu, for a multiplication that ends one
	// spelled in primitives. Absorbed are the nodes whose work As does too, and
	// Into is the node that absorbed this one.
	As       string        `json:"as,omitempty"`
	Absorbed []int         `json:"absorbed,omitempty"`
	Into     *int          `json:"into,omitempty"`
	Cost     ExplainedCost `json:"cost"`
	// Kernel names what computes the node in a run of the declared outputs, alone
	// or together with others; empty for what is not computed.
	Kernel string `json:"kernel,omitempty"`
}

// ExplainedNote is a [Note].
type ExplainedNote struct {
	Rule   string `json:"rule"`
	Node   int    `json:"node"`
	Reason string `json:"reason"`
}

// ExplainedCost is a [Cost] with what follows from it.
type ExplainedCost struct {
	FLOPs        float64 `json:"flops"`
	BytesRead    float64 `json:"bytes_read"`
	BytesWritten float64 `json:"bytes_written"`
	Intensity    float64 `json:"intensity"` // FLOPs for each byte
	Seconds      float64 `json:"seconds"`   // on the device
}

// ExplainedEdge is an [Edge].
type ExplainedEdge struct {
	From     int     `json:"from"`
	To       int     `json:"to"`
	Bytes    float64 `json:"bytes"`
	Rate     float64 `json:"rate"`   // bytes a second, as produced
	Demand   float64 `json:"demand"` // bytes a second, as consumed
	Critical bool    `json:"critical"`
}

// ExplainedCache is a [Cache].
type ExplainedCache struct {
	Input  string   `json:"input"` // name of the carried input
	Mode   string   `json:"mode"`  // append or write
	Axis   int      `json:"axis"`
	Update int      `json:"update"` // id of the tensor that adds the rows
	Rows   int      `json:"rows"`   // id of the new rows
	Old    plan.Dim `json:"old"`
	New    plan.Dim `json:"new"`
	Query  plan.Dim `json:"query"`
}

// ExplainedBranch is a [Branch].
type ExplainedBranch struct {
	ID       int      `json:"id"`
	Modality Modality `json:"modality"`
	Nodes    []int    `json:"nodes"`
}

// ExplainedPhase is the part of the graph that belongs to one phase.
type ExplainedPhase struct {
	Phase Phase         `json:"phase"`
	Nodes int           `json:"nodes"`
	Cost  ExplainedCost `json:"cost"`
}

// Explain describes a graph, with the symbols bound to b, and its plan under a
// policy for the given outputs; no outputs means all that the graph declares.
// The profile is that of b. Rates and criticality assume [ReferenceDevice].
func Explain(s *SRG, p Policy, b plan.Bindings, outputs ...lazy.Named) (*Explanation, error) {
	return ExplainOn(ReferenceDevice(), s, p, b, outputs...)
}

// ExplainOn is [Explain] for another device.
func ExplainOn(d Device, s *SRG, p Policy, b plan.Bindings, outputs ...lazy.Named) (*Explanation, error) {
	return explainRequest(d, s, p, b, Request{Outputs: outputs})
}

// explainRequest explains the plan of a request for the profile of b.
func explainRequest(d Device, s *SRG, p Policy, b plan.Bindings, r Request) (*Explanation, error) {
	profile, err := s.ProfileOf(b)
	if err != nil {
		return nil, err
	}
	costs, seconds, err := s.costsOn(d, b)
	if err != nil {
		return nil, err
	}
	edges, err := s.EdgesOn(d, b)
	if err != nil {
		return nil, err
	}
	r.Profile = profile
	schedule, err := p.Schedule(s, r)
	if err != nil {
		return nil, err
	}
	e := &Explanation{
		Graph: s.Graph.Name(), Phase: profile.Phase, Policy: p.Name(), Bindings: b, Device: d,
		Nodes: make([]ExplainedNode, len(s.Nodes)), Edges: make([]ExplainedEdge, len(edges)),
		Caches: make([]ExplainedCache, len(s.Caches)), Branches: make([]ExplainedBranch, len(s.Branches)),
		Plan: schedule.Plan, Client: schedule.Client, Placement: schedule.placement(r.Cluster),
	}
	if e.Buffers, err = bufferBytes(schedule.Plan, b); err != nil {
		return nil, err
	}
	if err := e.addKernels(s, schedule.Origins); err != nil {
		return nil, err
	}
	var total Cost
	for id := range s.Nodes {
		total = total.Add(costs[id])
		if e.Nodes[id], err = s.explainNode(id, profile, b, explainCost(costs[id], seconds[id])); err != nil {
			return nil, err
		}
	}
	if err := e.nameKernels(s); err != nil {
		return nil, err
	}
	s.explainForm(e)
	e.addPhases()
	e.Total = explainCost(total, 0)
	// The nodes run one after the other.
	for i := range e.Nodes {
		e.Total.Seconds += e.Nodes[i].Cost.Seconds
	}
	for i, x := range edges {
		e.Edges[i] = ExplainedEdge(x)
	}
	for i, c := range s.Caches {
		e.Caches[i] = ExplainedCache{
			Input: s.Graph.Carries()[c.Carry].In.Name(), Mode: cacheModes[c.Mode], Axis: c.Axis,
			Update: c.Update.ID(), Rows: c.Rows.ID(), Old: c.Old, New: c.New, Query: c.Query,
		}
	}
	for i, br := range s.Branches {
		e.Branches[i] = ExplainedBranch(br)
	}
	return e, nil
}

// addPhases adds up the nodes of each phase, which run one after the other.
func (e *Explanation) addPhases() {
	for i := range e.Nodes {
		n := &e.Nodes[i]
		if n.Op == "" || n.Dead {
			continue
		}
		at := slices.IndexFunc(e.Phases, func(p ExplainedPhase) bool { return p.Phase == n.Phase })
		if at < 0 {
			at = len(e.Phases)
			e.Phases = append(e.Phases, ExplainedPhase{Phase: n.Phase})
		}
		p := &e.Phases[at]
		sum := Cost{FLOPs: p.Cost.FLOPs + n.Cost.FLOPs, BytesRead: p.Cost.BytesRead + n.Cost.BytesRead, BytesWritten: p.Cost.BytesWritten + n.Cost.BytesWritten}
		seconds := p.Cost.Seconds + n.Cost.Seconds
		p.Nodes++
		p.Cost = explainCost(sum, seconds)
	}
}

// bufferBytes is the size of the largest value in each buffer.
func bufferBytes(p *plan.Plan, b plan.Bindings) ([]int64, error) {
	out := make([]int64, p.Buffers)
	for i := range p.Values {
		v := &p.Values[i]
		if v.Buffer == plan.NoBuffer {
			continue
		}
		shape, err := v.Spec.Shape.Eval(b)
		if err != nil {
			return nil, fmt.Errorf("explain value %d: %w", i, err)
		}
		out[v.Buffer] = max(out[v.Buffer], int64(elements(shape))*int64(v.Spec.DType.Size()))
	}
	return out, nil
}

var cacheModes = [...]string{CacheAppend: "append", CacheWrite: "write", CacheRoll: "roll"}

func (s *SRG) explainNode(id int, p Profile, b plan.Bindings, c ExplainedCost) (ExplainedNode, error) {
	n := &s.Nodes[id]
	t := n.Tensor
	op, attrs := "", plan.Attrs(nil)
	if o := t.Op(); o != nil {
		op, attrs = o.Name(), o.Attrs()
	}
	x := ExplainedNode{
		ID: id, Name: t.Name(), Kind: kindText(t.Kind()), Op: op, Call: callText(op, attrs), DType: t.DType(), Storage: s.storage(t),
		Shape: t.Shape(), Phase: s.PhaseOf(t, p), Residency: n.Residency, Modality: n.Modality, Branch: n.Branch,
		Attention: n.Attention, Sampling: n.Sampling, Dead: n.Dead, Location: location(t), Cost: c,
	}
	for _, in := range t.In() {
		x.In = append(x.In, in.ID())
	}
	if n.Dead {
		return x, nil
	}
	var err error
	if x.Sizes, err = t.Shape().Eval(b); err != nil {
		return x, fmt.Errorf("explain %v: %w", t, err)
	}
	return x, nil
}

func kindText(k lazy.Kind) string {
	switch k {
	case lazy.KindInput:
		return "input"
	case lazy.KindWeight:
		return "weight"
	case lazy.KindConst:
		return "const"
	case lazy.KindOp:
	}
	return "op"
}

func explainCost(c Cost, seconds float64) ExplainedCost {
	return ExplainedCost{c.FLOPs, c.BytesRead, c.BytesWritten, c.Intensity(), seconds}
}

// label is the displayed name of a node: the leaf's name, or the operator with
// its attributes.
func (n *ExplainedNode) label() string {
	if n.Op == "" {
		return n.Kind + " " + n.Name
	}
	return n.Call
}
