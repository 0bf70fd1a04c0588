package semantic

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// ErrPlacement is the cause of errors about where the steps of a plan run. It
// is an [ErrPolicy].
var ErrPlacement = fmt.Errorf("%w: placement", ErrPolicy)

func placeErr(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrPlacement}, args...)...)
}

// Placement assigns the steps of a plan to the devices of a cluster. It is a
// plug point of a policy ([Rules.Place], [Request.Placement]). It must be pure
// and deterministic: two clients with the same measurements place alike. It
// changes where a result is computed and never the result: the units that it
// places contain whole reductions.
type Placement interface {
	// Name is how the placement is selected, such as pipeline.
	Name() string
	// Place gives a device to each step. A placement that cannot place the plan
	// returns an [ErrPlacement].
	Place(in PlaceInput) (Placed, error)
}

// PlaceInput is what a placement knows.
type PlaceInput struct {
	SRG     *SRG
	Plan    *plan.Plan
	Origins []*lazy.Tensor // see [Schedule.Origins]
	Profile Profile
	// Bindings are the sizes for which the placement is to be good; it is valid
	// for all sizes.
	Bindings plan.Bindings
	Cluster  *Cluster
	// StateAt is the device where carried state has its rows now, by the
	// state's name. State without an entry is empty and may start anywhere.
	StateAt map[string]int
	// Movable reports whether carried state may move to another device. Where it
	// may not, the units of a state in StateAt must stay there.
	Movable bool
	// Units are the parts of the plan that each run on one device, in an order
	// in which they can run.
	Units []Unit

	bytes []float64 // by value of Plan, at Bindings
	maker []int     // by value: the unit that computes it, -1 for none
	work  *int      // steps of search, for tests of its growth; nil counts none
}

// Placed is a placement's decision.
type Placed struct {
	Device []int `json:"device"` // by step of the plan
	// Why says in words why each device has its steps, by device; empty for a
	// device without any.
	Why []string `json:"why"`
	// State is the device of each carried state after the run, by the state's name:
	// the StateAt of the next plan of the session. [Rules.Schedule] fills it.
	State map[string]int `json:"state,omitempty"`
	// Predicted is the cost model's estimate. [Rules.Schedule] fills it if the
	// placement does not.
	Predicted *PlacePrediction `json:"predicted"`
}

// Placed is the decision that gives unit i of Units the device of[i].
func (in *PlaceInput) Placed(of []int, why []string) Placed {
	p := Placed{Device: make([]int, len(in.Plan.Steps)), Why: why}
	for u, d := range of {
		for _, step := range in.Units[u].Steps {
			p.Device[step] = d
		}
	}
	return p
}

// Bytes is the size of a value of the plan as it is stored.
func (in *PlaceInput) Bytes(value int) float64 { return in.bytes[value] }

// Home is the device to which a unit is bound by the state that it reads;
// false if it may run anywhere. It is an [ErrPlacement] if its states are on
// several devices and cannot move.
func (in *PlaceInput) Home(unit int) (device int, bound bool, err error) {
	if in.Movable {
		return 0, false, nil
	}
	return in.stateHome(unit)
}

// stateHome is the device with the state of a unit, whether or not it can move.
func (in *PlaceInput) stateHome(unit int) (device int, found bool, err error) {
	for _, s := range in.Units[unit].States {
		d, ok := in.StateAt[in.Plan.States[s].Name]
		switch {
		case !ok:
		case d < 0 || d >= len(in.Cluster.Devices):
			return 0, false, placeErr("the state %q is on device %d of %d", in.Plan.States[s].Name, d, len(in.Cluster.Devices))
		case found && d != device:
			if !in.Movable {
				return 0, false, placeErr("the state %q is on device %d, and steps that read it read state on device %d", in.Plan.States[s].Name, d, device)
			}
		default:
			device, found = d, true
		}
	}
	return device, found, nil
}

// deviceName is the name of a device that has none.
func deviceName(i int) string { return "device " + strconv.Itoa(i) }

// place lets a placement fill the devices of the executor's plan.
func (l *lowering) place() error {
	r := &l.request
	if r.Cluster == nil {
		return nil
	}
	placement := r.Placement
	if placement == nil {
		placement = l.f.Place
	}
	if placement == nil {
		placement = PlaceSingle()
	}
	in, err := l.placeInput()
	if err != nil {
		return err
	}
	placed, err := placement.Place(in)
	if err != nil {
		if !errors.Is(err, ErrPlacement) {
			err = fmt.Errorf("%w: %w", ErrPlacement, err)
		}
		return fmt.Errorf("%s places %q: %w", placement.Name(), l.s.face().Graph.Name(), err)
	}
	if err := in.accept(&placed); err != nil {
		return fmt.Errorf("%s places %q: %w", placement.Name(), l.s.face().Graph.Name(), err)
	}
	for i, d := range placed.Device {
		in.Plan.Steps[i].Device = d
	}
	l.out.Placed, l.out.PlacedBy = &placed, placement.Name()
	return nil
}

// placeInput describes the executor's plan to a placement.
func (l *lowering) placeInput() (PlaceInput, error) {
	r := &l.request
	in := PlaceInput{
		SRG: l.s.face(), Plan: l.out.Plan, Origins: l.out.Origins, Profile: r.Profile, Bindings: r.Sizes,
		Cluster: r.Cluster, StateAt: r.StateAt, Movable: r.Movable,
	}
	if err := r.Cluster.Check(); err != nil {
		return in, err
	}
	operators, err := l.s.Graph.CustomOperators()
	if err != nil {
		return in, fmt.Errorf("%w: %w", ErrPlacement, err)
	}
	err = in.divide(operators)
	return in, err
}

// accept checks a decision and completes it.
func (in *PlaceInput) accept(p *Placed) error {
	if len(p.Device) != len(in.Plan.Steps) {
		return placeErr("devices for %d of %d steps", len(p.Device), len(in.Plan.Steps))
	}
	if len(p.Why) > len(in.Cluster.Devices) {
		return placeErr("reasons for %d of %d devices", len(p.Why), len(in.Cluster.Devices))
	}
	of := make([]int, len(in.Units))
	p.State = map[string]int{}
	for u := range in.Units {
		steps := in.Units[u].Steps
		of[u] = p.Device[steps[0]]
		for _, s := range in.Units[u].States {
			p.State[in.Plan.States[s].Name] = of[u]
		}
		for _, s := range steps {
			d := p.Device[s]
			if d < 0 || d >= len(in.Cluster.Devices) {
				return placeErr("step %d (%s) is on device %d of %d", s, in.Plan.Steps[s].Op, d, len(in.Cluster.Devices))
			}
			if d != of[u] {
				return placeErr("steps %d and %d of one unit are on devices %d and %d", steps[0], s, of[u], d)
			}
		}
		if home, bound, err := in.Home(u); err != nil {
			return err
		} else if bound && home != of[u] {
			return placeErr("step %d reads state on device %d and is on device %d", steps[0], home, of[u])
		}
	}
	if p.Predicted == nil {
		p.Predicted = in.Predict(of)
	}
	p.Why = append(slices.Clone(p.Why), make([]string, len(in.Cluster.Devices)-len(p.Why))...)
	return in.room(p.Predicted)
}

// room checks that each device has the memory for its part.
func (in *PlaceInput) room(p *PlacePrediction) error {
	for i := range p.Devices {
		if l := &p.Devices[i]; l.lacks() > 0 {
			return placeErr("device %d (%s) needs %d bytes (weights %d, state %d, scratch %d) and has %d",
				i, in.Cluster.Devices[i].Name, l.Memory(), l.Weights, l.State, l.Scratch, l.Limit)
		}
	}
	return nil
}

// places checks that a plan's devices exist, and that all that touches one
// state is on one device.
func (c *scheduleCheck) places(r *op.Resolved) error {
	devices := plan.MaxDevices // of an executor that the request does not describe
	if c.r.Cluster != nil {
		devices = len(c.r.Cluster.Devices)
	}
	home := make([]int, len(r.Plan.States))
	for i := range home {
		home[i] = -1
	}
	touched := statesOf(r)
	for i := range r.Plan.Steps {
		s := &r.Plan.Steps[i]
		if s.Device < 0 || s.Device >= devices {
			return placeErr("step %d (%s) is on device %d of %d", i, s.Op, s.Device, devices)
		}
		for _, st := range touched(i) {
			if home[st] >= 0 && home[st] != s.Device {
				return placeErr("the state %q is on devices %d and %d", r.Plan.States[st].Name, home[st], s.Device)
			}
			home[st] = s.Device
		}
	}
	return nil
}

// statesOf returns a function that lists the states that a step reads, writes or
// becomes.
func statesOf(r *op.Resolved) func(step int) []int {
	becomes := map[int][]int{} // by the root of its new value
	for i := range r.Plan.States {
		v := r.Base[r.Plan.States[i].Out]
		becomes[v] = append(becomes[v], i)
	}
	return func(step int) (states []int) {
		s := &r.Plan.Steps[step]
		add := func(st int) {
			if !slices.Contains(states, st) {
				states = append(states, st)
			}
		}
		for i := range len(s.In) + 1 {
			v := s.Out
			if i > 0 {
				v = s.In[i-1]
			}
			if st := r.State[r.Base[v]]; st >= 0 {
				add(st)
			}
		}
		for _, st := range becomes[r.Base[s.Out]] {
			add(st)
		}
		return states
	}
}
