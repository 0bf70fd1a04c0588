package semantic

import (
	"fmt"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// Device is one executor's speed, for the cost model.
type Device struct {
	// Kind says which kernels the device has: [DeviceCPU], the default, or
	// [DeviceCUDA].
	Kind      string  `json:",omitempty"`
	FLOPS     float64 // float32 operations per second
	Bandwidth float64 // bytes of memory read per second
	Link      float64 // bytes per second between the client and the device; 0 in-process
	// HalfFLOPS is the operations per second of products with 16-bit weights; 0
	// is FLOPS.
	HalfFLOPS float64 `json:",omitempty"`
	// Launch is the seconds that a kernel takes in addition to its work.
	Launch float64 `json:",omitempty"`
	// Source says where the speeds come from, such as [SourceMeasured] or a data
	// sheet; empty for [ReferenceDevice], which is assumed. Whatever shows a
	// prediction shows it.
	Source string `json:",omitempty"`
	// Lacks names the pointwise operators for which the device has no kernel:
	// it computes them by their reference, and never fuses them with a product.
	Lacks []string `json:",omitempty"`
	// Calibration contains measurements of the device, which take precedence
	// over the rates above where they exist. nil is no calibration.
	Calibration *Calibration `json:",omitempty"`
}

// Request is the input of a policy: the profile and the outputs to be read. No
// outputs means all that the graph declares.
type Request struct {
	Profile Profile
	Outputs []lazy.Named
	// Keep retains the outputs on the executor where the policy can.
	Keep bool
	// State is the prefix of the names of the states that the plan leaves on
	// the executor: a different one for each graph whose values a session
	// carries separately. Empty is the graph's own, shared by every graph of
	// its structure.
	State string
	// Fed lists carried pairs, by index, whose value the caller feeds: these
	// are sent and returned with the run.
	Fed []int

	// Cluster is the devices that the plan may use; nil leaves it to one.
	Cluster *Cluster
	// Placement assigns the steps to the devices of Cluster. nil is the policy's
	// own, [Rules.Place], or else [PlaceSingle].
	Placement Placement
	// Sizes are those that a placement assumes; see [PlaceInput.Bindings].
	Sizes plan.Bindings
	// StateAt and Movable are those of [PlaceInput].
	StateAt map[string]int
	Movable bool
}

// Schedule is a policy's decision: a plan for the executor and, when tokens are
// sampled in the client partition, a plan for the client's own engine.
type Schedule struct {
	Plan   *plan.Plan
	Client *plan.Plan // nil when nothing is left to the client
	// Inputs tells where the bytes of each of Plan's inputs come from.
	Inputs []Source
	// ClientInputs does the same for the client's plan.
	ClientInputs []Source
	// Results lists where each requested output is found.
	Results []Result
	// Carries lists how each of the graph's carried pairs is passed from run to
	// run.
	Carries []CarryPlace
	// Origins is, by value of Plan, the captured tensor to which its computation
	// belongs; nil for none.
	Origins []*lazy.Tensor
	// Loop lets the executor repeat a run by itself.
	Loop bool
	// Placed explains the devices of Plan's steps, and PlacedBy names the
	// placement; nil and empty without a cluster.
	Placed   *Placed
	PlacedBy string
}

// SourceKind is where an input's bytes come from.
type SourceKind uint8

// The sources.
const (
	FromFeed   SourceKind = iota // fed by the caller
	FromCarry                    // the carried value of the previous run
	FromWeight                   // a weight's content, sent as an input
	FromOutput                   // an output of the executor's plan
)

// Source is where the bytes of an input come from.
type Source struct {
	Kind   SourceKind
	Tensor *lazy.Tensor // feed, carry, weight
	Output int          // index into Plan.Outputs
	Cause  plan.Cause
}

// Result is where a requested output is found: an output of the executor's
// plan or of the client's.
type Result struct {
	Client bool
	Output int
}

// CarryPlace is how a carried pair is passed from run to run.
type CarryPlace struct {
	// State is the name of the executor's state; empty when the value is
	// returned as Output and fed again.
	State  string
	Output int
}

// Policy decides what runs where and which values stay. Its three plug points
// are rewrites of the graph, placement, and hints to the run time: the built-in
// policies are switches for these, [Features]; a custom policy may use
// functions, [Rules].
type Policy interface {
	// Name is how the policy is selected: blind, resident, full.
	Name() string
	// Schedule is a pure function of its arguments.
	Schedule(s *SRG, r Request) (*Schedule, error)
}

// Features is a policy of switches. The zero value is the blind policy, which
// treats every tensor alike: it sends all inputs, including weights, and
// returns all outputs, at every call.
type Features struct {
	Label string
	// Weights leaves weights on the executor, named by content hash.
	Weights bool
	// State leaves carried values on the executor; KV caches grow in place.
	State bool
	// Sampling samples tokens on the executor.
	Sampling bool
	// Prune computes only what is read, rows included.
	Prune bool
	// Loop leaves the loop over tokens to the executor, if state and sampling
	// are there too.
	Loop bool
}

// Blind treats every tensor alike.
func Blind() Policy { return Features{Label: "blind"} }

// Resident keeps weights on the executor and treats the rest alike.
func Resident() Policy { return Features{Label: "resident", Weights: true} }

// Full uses everything that the semantic pass finds out.
func Full() Policy { return fullFeatures() }

func fullFeatures() Features {
	return Features{Label: "full", Weights: true, State: true, Sampling: true, Prune: true, Loop: true}
}

// PolicyNamed finds a built-in policy: blind, resident or full. It also accepts
// the former name of full, semantic.
func PolicyNamed(name string) (Policy, error) {
	if name == "semantic" {
		return Full(), nil
	}
	for _, p := range []Policy{Blind(), Resident(), Full()} {
		if p.Name() == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w: no policy %q; there are blind, resident and full", ErrPolicy, name)
}

// Name implements [Policy].
func (f Features) Name() string { return f.Label }

// Schedule implements [Policy].
func (f Features) Schedule(s *SRG, r Request) (*Schedule, error) {
	return Rules{Features: f}.Schedule(s, r)
}
