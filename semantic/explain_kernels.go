package semantic

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/internal/kernelchoice"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/custom"
	"github.com/genie-sdk/go/transport/plan"
)

// ExplainedKernel is what computes one step of a plan, or several together.
type ExplainedKernel struct {
	Steps []int  `json:"steps"` // of the plan; views are in no kernel
	Name  string `json:"name"`  // their operators
	// Node is the id of the node to which they belong, -1 for none, and Location
	// the line that captured it.
	Node     int    `json:"node"`
	Location string `json:"location,omitempty"`
	// Kernel is its name, see [Kernel.By], and Reference is true of the reference
	// of an operator, which is slow.
	Kernel    string        `json:"kernel"`
	Reference bool          `json:"reference"`
	Cost      ExplainedCost `json:"cost"`
}

// ExplainedSlow is the part of a run that is predicted for references of operators.
type ExplainedSlow struct {
	Kernels int     `json:"kernels"`
	Seconds float64 `json:"seconds"`
	Share   float64 `json:"share"` // of the time of all kernels
}

// addKernels compiles the plan as an executor on the device does.
func (e *Explanation) addKernels(s *SRG, origins []*lazy.Tensor) error {
	operators, err := s.Graph.CustomOperators()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	prog, kernels, err := e.Device.compile(e.Plan, operators, e.Bindings)
	if err != nil {
		return err
	}
	all := 0.0
	for i := range kernels {
		k := &kernels[i]
		seconds := e.Device.KernelSeconds(*k)
		x := ExplainedKernel{
			Steps: prog.Groups[i].Computed(prog.Res), Name: k.Name, Node: -1, Kernel: k.By, Reference: k.Reference(), Cost: explainCost(k.Cost, seconds),
		}
		if v := prog.Groups[i].Out; v < len(origins) && origins[v] != nil {
			t := origins[v]
			x.Node, x.Location = t.ID(), location(t)
		}
		e.Kernels = append(e.Kernels, x)
		if all += seconds; k.Reference() {
			e.Slow.Kernels++
			e.Slow.Seconds += seconds
		}
	}
	if all > 0 {
		e.Slow.Share = e.Slow.Seconds / all
	}
	return nil
}

// nameKernels gives the nodes the kernels of a run of the declared outputs.
func (e *Explanation) nameKernels(s *SRG) error {
	if len(s.Graph.Outputs()) == 0 {
		return nil
	}
	kernels, err := s.KernelsOn(e.Device, e.Bindings)
	if err != nil {
		return err
	}
	for i := range kernels {
		for _, id := range kernels[i].Nodes {
			if n := &e.Nodes[id]; n.Kernel == "" || kernels[i].Reference() {
				n.Kernel = kernels[i].By
			}
		}
	}
	return nil
}

// stepKernels gives the kernel and the time of each step of the plan for people: the
// time is that of all steps of the kernel, and is with the last.
func (e *Explanation) stepKernels() func(step int) (kernel, time string) {
	of := make(map[int]*ExplainedKernel, len(e.Plan.Steps))
	for i := range e.Kernels {
		for _, step := range e.Kernels[i].Steps {
			of[step] = &e.Kernels[i]
		}
	}
	return func(step int) (kernel, time string) {
		k := of[step]
		if k == nil {
			return "-", "-"
		}
		if last := k.Steps[len(k.Steps)-1]; last != step {
			return k.Kernel, fmt.Sprintf("with step %d", last)
		}
		return k.Kernel, seconds(k.Cost.Seconds)
	}
}

// textKernels sums up the kernels and lists the slowest references.
func (e *Explanation) textKernels(b *strings.Builder) {
	total := 0.0
	for i := range e.Kernels {
		total += e.Kernels[i].Cost.Seconds
	}
	fmt.Fprintf(b, "\n%d kernels, predicted %s; %d of them are references of operators without a kernel, %s, %.0f%% of the time\n",
		len(e.Kernels), seconds(total), e.Slow.Kernels, seconds(e.Slow.Seconds), 100*e.Slow.Share)
	if e.Slow.Kernels > 0 {
		table(b, "  step|reference of|node|captured at|time", func(row func(...any)) {
			for _, k := range e.slowest() {
				node := "-"
				if k.Node >= 0 {
					node = ref(k.Node)
				}
				row("  "+strconv.Itoa(k.Steps[len(k.Steps)-1]), k.Name, node, dash(k.Location), seconds(k.Cost.Seconds))
			}
		})
	}
}

// mostSlow is how many references are listed.
const mostSlow = 10

// slowest is the references that take longest.
func (e *Explanation) slowest() (out []ExplainedKernel) {
	for _, k := range e.Kernels {
		if k.Reference && len(k.Steps) > 0 {
			out = append(out, k)
		}
	}
	slices.SortStableFunc(out, func(a, b ExplainedKernel) int { return cmp.Compare(b.Cost.Seconds, a.Cost.Seconds) })
	return out[:min(len(out), mostSlow)]
}

// options compile a plan as an executor on d does.
func (d Device) options(operators *custom.Table) program.Options {
	opts := program.Options{
		Custom:    operators,
		Pointwise: func(o op.Op) bool { return !slices.Contains(d.Lacks, o.Name()) },
	}
	if d.Kind != DeviceCUDA {
		opts.Elementwise = func(o op.Op, in []plan.Spec) bool {
			return kernelchoice.Elementwise(o, in) && (!kernelchoice.Pointwise(o) || !slices.Contains(d.Lacks, o.Name()))
		}
	}
	return opts
}

// String is the note in words.
func (n ExplainedNote) String() string { return fmt.Sprintf("%s not fused: %s", n.Rule, n.Reason) }

// notesOf are the notes about a node.
func (e *Explanation) notesOf(id int) (out []string) {
	for _, n := range e.Notes {
		if n.Node == id {
			out = append(out, n.String())
		}
	}
	return out
}
