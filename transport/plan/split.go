package plan

import (
	"fmt"
	"slices"
)

// Split is a plan divided by the devices of its steps: a plan for each part, and
// the values that go from one part to another. The parts together compute what
// the plan computes, with the same bits.
type Split struct {
	Whole *Plan
	// Parts are in an order in which they can run. A part needs only parts of
	// lower rounds: whatever the placement, parts never wait for each other in
	// a cycle.
	Parts []Part
	Edges []Edge
}

// Part is what one device does of a plan without waiting for another device.
type Part struct {
	Device int
	// Round is the longest chain of device changes before the part. A device
	// has at most one part of a round.
	Round int
	// Plan is a plan of its own for device 0. A plan that is wholly on device 0
	// is itself its only part.
	Plan *Plan
	// Inputs says where each input of Plan comes from, and Outputs where each
	// output goes, in their order.
	Inputs, Outputs []PartPort
	// Symbols has, for each of Plan.Symbols, its index in the whole's.
	Symbols []int
	// Steps and States have, for each of Plan's, its index in the whole.
	Steps, States []int
	// Saves are the replaced states as they were before the run: a part that
	// may run although a later one fails retains them, so that they can be put
	// back.
	Saves []Save
}

// Save is an output of a part that is a state of its plan before the run.
type Save struct {
	State  int // index in the part plan's states
	Output int // index in the part plan's outputs
}

// PartPort is the other end of a part's input or output: a port of the whole
// plan, or one or more edges.
type PartPort struct {
	Port  int   // index in the whole's inputs or outputs; -1 for edges
	Edges []int // of an input one, of an output one or more
}

// Edge is a value that a part computes and another one, of a higher round,
// reads. Between two parts of one device the value stays there, and the
// producer's plan retains it.
type Edge struct {
	Value    int // of the whole
	From, To int // parts
	// Output is the port of From's plan, and Input that of To's.
	Output, Input int
}

// NewSplit divides p by [Step.Device]. Steps that read or update one carried
// state go to one part, with all steps between them, on the device of the first
// of them. Errors wrap [ErrInvalid].
func NewSplit(p *Plan) (*Split, error) {
	devices := make([]int, len(p.Steps))
	for i := range p.Steps {
		devices[i] = p.Steps[i].Device
	}
	return SplitBy(p, devices, nil)
}

// SplitBy is [NewSplit] with other devices than the plan says, one for each step.
// homes are the devices of carried states, by name, that are somewhere already:
// their steps go there.
func SplitBy(p *Plan, devices []int, homes map[string]int) (*Split, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if len(devices) != len(p.Steps) {
		return nil, fmt.Errorf("%w: a placement of %d steps, the plan has %d", ErrInvalid, len(devices), len(p.Steps))
	}
	for i, d := range devices {
		if d < 0 || d >= MaxDevices {
			return nil, fmt.Errorf("%w: step %d (%s) is placed on device %d", ErrInvalid, i, p.Steps[i].Op, d)
		}
	}
	if d, one := oneOf(devices); one && !movedBy(p, d, homes) {
		return wholeOn(p, d), nil
	}
	s := newSplitter(p, devices)
	if err := s.gather(homes); err != nil {
		return nil, err
	}
	if d, one := oneOf(s.device); one {
		return wholeOn(p, d), nil
	}
	s.rounds()
	return s.split()
}

// Chain reports whether the parts can only run one after the other.
func (s *Split) Chain() bool {
	for i := range s.Parts {
		if s.Parts[i].Round != i {
			return false
		}
	}
	return true
}

// Home is the device of a carried state of the whole, by index.
func (s *Split) Home(state int) int {
	for i := range s.Parts {
		if slices.Contains(s.Parts[i].States, state) {
			return s.Parts[i].Device
		}
	}
	return 0
}

// MaxDevices bounds the device of a step in a [Split].
const MaxDevices = 1 << 12

// oneOf reports whether all steps are on one device; without steps it is 0.
func oneOf(devices []int) (device int, one bool) {
	if len(devices) == 0 {
		return 0, true
	}
	for _, d := range devices {
		if d != devices[0] {
			return 0, false
		}
	}
	return devices[0], true
}

// wholeOn is the split of a plan that one device runs.
func wholeOn(p *Plan, device int) *Split {
	whole := p
	if slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Device != 0 }) {
		whole = new(*p)
		whole.Steps = slices.Clone(p.Steps)
		for i := range whole.Steps {
			whole.Steps[i].Device = 0
		}
	}
	part := Part{Device: device, Plan: whole, Symbols: counted(len(p.Symbols())), Steps: counted(len(p.Steps)), States: counted(len(p.States))}
	for i := range p.Inputs {
		part.Inputs = append(part.Inputs, PartPort{Port: i})
	}
	for i := range p.Outputs {
		part.Outputs = append(part.Outputs, PartPort{Port: i})
	}
	return &Split{Whole: p, Parts: []Part{part}}
}

// counted is 0, 1, ... n-1.
func counted(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// splitter divides a plan.
type splitter struct {
	p      *Plan
	device []int // by step
	of     []int // by value: the step that computes it, or -1
	root   []int // by step: union-find over steps that stay together
	anchor []int // by root: the first step of a carried state's, or -1
	state  []int // by value: the state in whose memory it is, or -1
	ready  []int // by step: its round
	home   []int // by state: a step of the part that has it, or -1 without one
}

func newSplitter(p *Plan, devices []int) *splitter {
	s := &splitter{p: p, device: slices.Clone(devices), root: counted(len(p.Steps))}
	s.anchor = slices.Repeat([]int{-1}, len(p.Steps))
	s.of = slices.Repeat([]int{-1}, len(p.Values))
	for i := range p.Steps {
		s.of[p.Steps[i].Out] = i
	}
	return s
}

func (s *splitter) find(i int) int {
	for s.root[i] != i {
		s.root[i] = s.root[s.root[i]]
		i = s.root[i]
	}
	return i
}

// union keeps the steps of two together; the anchor is the earlier one's.
func (s *splitter) union(a, b int) {
	a, b = s.find(a), s.find(b)
	if a == b {
		return
	}
	if b < a {
		a, b = b, a
	}
	s.root[b] = a
	if x, y := s.anchor[a], s.anchor[b]; x < 0 || y >= 0 && y < x {
		s.anchor[a] = y
	}
}

// gather puts the steps of each carried state together, and steps between them:
// what a device could only do in two halves, with another device's work between.
func (s *splitter) gather(homes map[string]int) error {
	s.states()
	s.folds()
	s.views()
	for group, again := s.cycles(); again; group, again = s.cycles() {
		for i, first := range group {
			s.union(i, first)
		}
	}
	at := map[int]int{} // devices, by root
	for k := range s.p.States {
		d, ok := homes[s.p.States[k].Name]
		if !ok || s.home[k] < 0 {
			continue
		}
		r := s.find(s.home[k])
		if other, ok := at[r]; ok && other != d {
			return fmt.Errorf("%w: the steps of state %q stay together with those of a state of device %d, and it is on device %d",
				ErrInvalid, s.p.States[k].Name, other, d)
		}
		at[r] = d
	}
	for i := range s.p.Steps {
		r := s.find(i)
		if d, ok := at[r]; ok {
			s.device[i] = d
		} else if a := s.anchor[r]; a >= 0 {
			s.device[i] = s.device[a]
		} else {
			s.device[i] = s.device[r] // the first of them
		}
	}
	return nil
}

// movedBy reports whether some state of p is elsewhere than on a device.
func movedBy(p *Plan, device int, homes map[string]int) bool {
	return slices.ContainsFunc(p.States, func(st State) bool {
		d, ok := homes[st.Name]
		return ok && d != device
	})
}

// folds joins each convolution with the normalisation after it, which executors
// fold into its filters. Its bits are those of the fold.
func (s *splitter) folds() {
	for i := range s.p.Steps {
		step := &s.p.Steps[i]
		if step.Op != "batch_norm" || len(step.In) == 0 {
			continue
		}
		if j := s.of[step.In[0]]; j >= 0 && s.p.Steps[j].Op == "conv2d" {
			s.union(i, j)
		}
	}
}

// views joins each view with the view that it is of, and each reshape with the
// view that it copies: whether a reshape can be a view depends on how the views
// before it arrange the elements, and what comes from another part is dense.
func (s *splitter) views() {
	for i := range s.p.Steps {
		step := &s.p.Steps[i]
		if !s.view(step) && step.Op != "reshape" || len(step.In) == 0 {
			continue
		}
		if j := s.of[step.In[0]]; j >= 0 && s.view(&s.p.Steps[j]) {
			s.union(i, j)
		}
	}
}

// view reports whether a step has its result in the memory of its first operand.
func (s *splitter) view(step *Step) bool {
	return len(step.In) > 0 && s.p.Values[step.Out].Buffer == s.p.Values[step.In[0]].Buffer
}

// states joins the steps that read or update the memory of one carried state.
func (s *splitter) states() {
	p := s.p
	s.state = slices.Repeat([]int{-1}, len(p.Values))
	s.home = slices.Repeat([]int{-1}, len(p.States))
	for k := range p.States {
		s.state[p.States[k].In] = k
	}
	for i := range p.Steps {
		step := &p.Steps[i]
		for _, v := range step.In {
			if k := s.state[v]; k >= 0 {
				s.stays(i, k)
			}
		}
		// A view of the state, and the state after it was updated in place, have
		// no memory of their own.
		if len(step.In) > 0 && p.Values[step.Out].Buffer == NoBuffer {
			s.state[step.Out] = s.state[step.In[0]]
		}
	}
	for k := range p.States {
		if i := s.of[p.States[k].Out]; i >= 0 {
			s.stays(i, k)
		}
	}
	for again := true; again; {
		again = false
		for k := range p.States {
			if j := s.state[p.States[k].Out]; j >= 0 && s.of[p.States[k].Out] < 0 && s.meet(k, j) {
				again = true
			}
		}
	}
}

// meet says that state k becomes what state j was; it reports whether that gave
// one of them a home.
func (s *splitter) meet(k, j int) bool {
	switch a, b := s.home[k], s.home[j]; {
	case a >= 0 && b >= 0:
		s.union(a, b)
		return false
	case a < 0 && b < 0:
		return false
	default:
		s.home[k], s.home[j] = max(a, b), max(a, b)
		return true
	}
}

// stays says that step i is one of state k's.
func (s *splitter) stays(i, k int) {
	r := s.find(i)
	if a := s.anchor[r]; a < 0 || i < a {
		s.anchor[r] = i
	}
	if s.home[k] < 0 {
		s.home[k] = i
		return
	}
	s.union(i, s.home[k])
}
