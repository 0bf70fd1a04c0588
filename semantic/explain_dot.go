package semantic

import (
	"fmt"
	"strings"

	"github.com/genie-sdk/go/transport/plan"
)

// residencyColours are the fill colours of nodes in a drawing.
var residencyColours = [...]string{
	EphemeralActivation: "white", PersistentWeight: "lightgrey", StatefulKVCache: "lightsalmon",
	ExternalInput: "lightblue", ExternalOutput: "palegreen",
}

// Dot renders the explanation for Graphviz: the graph, its critical edges in
// red, and the plan beside it, its steps coloured by device if it is placed.
func (e *Explanation) Dot() string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %s {\n  rankdir=TB; fontname=Helvetica; compound=true;\n", quoteDot(e.Graph))
	b.WriteString("  node [shape=box, style=filled, fillcolor=white, fontname=Helvetica, fontsize=10];\n  edge [fontname=Helvetica, fontsize=8];\n")
	fmt.Fprintf(&b, "  subgraph cluster_srg {\n    label=%s;\n", quoteDot(fmt.Sprintf("%s, %v, %s read and %s a run",
		e.Graph, e.Phase, si(e.Total.BytesRead, "B"), si(e.Total.FLOPs, "FLOP"))))
	for i := range e.Nodes {
		e.dotNode(&b, &e.Nodes[i])
	}
	for _, x := range e.Edges {
		style := ""
		if x.Critical {
			style = ", color=red, penwidth=2"
		}
		fmt.Fprintf(&b, "    n%d -> n%d [label=%s%s];\n", x.From, x.To,
			quoteDot(fmt.Sprintf("%s\n%s > %s", si(x.Bytes, "B"), si(x.Rate, "B/s"), si(x.Demand, "B/s"))), style)
	}
	e.dotForm(&b)
	b.WriteString("  }\n")
	e.Placement.dot(&b)
	dotPlan(&b, "plan", "plan for the executor, policy "+e.Policy, e.Plan, e.stepKernels(), e.Placement)
	if e.Client != nil {
		dotPlan(&b, "client", "plan for the client partition, policy "+e.Policy, e.Client, nil, nil)
	}
	b.WriteString("}\n")
	return b.String()
}

func (e *Explanation) dotNode(b *strings.Builder, n *ExplainedNode) {
	lines := []string{ref(n.ID) + " " + n.label(), spec(n)}
	style := ""
	if n.As != "" {
		lines = append(lines, "as "+n.As)
	}
	if n.Location != "" {
		lines = append(lines, n.Location)
	}
	if n.Dead {
		lines = append(lines, "nothing reads it")
		style = ", style=dashed"
	} else {
		lines = append(lines, fmt.Sprintf("%v, %v, %v", n.Phase, n.Residency, n.Modality))
		if n.Branch != 0 {
			lines = append(lines, fmt.Sprintf("branch %d", n.Branch))
		}
		if c := n.Cost; c != (ExplainedCost{}) {
			lines = append(lines, fmt.Sprintf("%s, %s in, %s out", si(c.FLOPs, "FLOP"), si(c.BytesRead, "B"), si(c.BytesWritten, "B")))
		}
		if n.Kernel != "" {
			lines = append(lines, "kernel "+n.Kernel)
		}
		lines = append(lines, e.notesOf(n.ID)...)
		if n.Op == "" {
			style = ", shape=ellipse"
		}
	}
	fmt.Fprintf(b, "    n%d [label=%s, fillcolor=%s%s];\n", n.ID, quoteDot(strings.Join(lines, "\n")), residencyColours[n.Residency], style)
}

// dotPlan draws the steps of a plan with the values they read and write.
func dotPlan(b *strings.Builder, id, title string, p *plan.Plan, kernel func(step int) (name, time string), placed *ExplainedPlacement) {
	fmt.Fprintf(b, "  subgraph cluster_%s {\n    label=%s;\n", id, quoteDot(fmt.Sprintf("%s: %d steps, %d buffers", title, len(p.Steps), p.Buffers)))
	made := map[int]bool{}
	for i, s := range p.Steps {
		made[s.Out] = true
		label := fmt.Sprintf("step %d: %s\n%s %v\nbuffer %s, device %d, branch %d",
			i, callText(s.Op, s.Attrs), value(s.Out), p.Values[s.Out].Spec, buffer(p.Values[s.Out].Buffer), s.Device, s.Branch)
		style := ""
		if colour := placed.colour(s.Device); colour != "" {
			style = fmt.Sprintf(", fillcolor=%q", colour)
		}
		if kernel != nil {
			name, time := kernel(i)
			label += "\nkernel " + name + ", " + time
			if isReference(name) {
				style += ", color=orange, penwidth=3"
				if placed == nil {
					style = ", fillcolor=orange"
				}
			}
		}
		fmt.Fprintf(b, "    %s_v%d [label=%s%s];\n", id, s.Out, quoteDot(label), style)
	}
	for v := range p.Values {
		if x := &p.Values[v]; !made[v] {
			fmt.Fprintf(b, "    %s_v%d [label=%s, shape=ellipse];\n", id, v, quoteDot(fmt.Sprintf("%s %v %s\n%v", value(v), x.Kind, x.Name, x.Spec)))
		}
	}
	for _, s := range p.Steps {
		for _, in := range s.In {
			fmt.Fprintf(b, "    %s_v%d -> %s_v%d;\n", id, in, id, s.Out)
		}
	}
	for i, o := range p.Outputs {
		fmt.Fprintf(b, "    %s_o%d [label=%s, shape=note, fillcolor=palegreen];\n    %s_v%d -> %s_o%d;\n",
			id, i, quoteDot(fmt.Sprintf("output %s\n%v as %v", o.Name, o.Place, o.Cause)), id, o.Value, id, i)
	}
	for _, s := range p.States {
		fmt.Fprintf(b, "    %s_v%d -> %s_v%d [style=dashed, constraint=false, label=%s];\n",
			id, s.Out, id, s.In, quoteDot(fmt.Sprintf("state %s, %v", s.Name, s.Mode)))
	}
	b.WriteString("  }\n")
}

// quoteDot writes a DOT string and preserves line breaks.
func quoteDot(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\x00", "").Replace(s) + `"`
}
