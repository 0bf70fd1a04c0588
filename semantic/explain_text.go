package semantic

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/genie-sdk/go/transport/plan"
)

// Text renders the explanation as readable tables.
func (e *Explanation) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "graph %s, phase %v, policy %s\n", e.Graph, e.Phase, e.Policy)
	var sizes []string
	for s, n := range e.Bindings {
		sizes = append(sizes, fmt.Sprintf("%s=%d", s, n))
	}
	slices.Sort(sizes)
	fmt.Fprintf(&b, "sizes %s\n", strings.Join(sizes, " "))
	fmt.Fprintf(&b, "cost of the graph: %s, %s read, %s written, %.3g FLOP/B; %s at %s and %s%s\n",
		si(e.Total.FLOPs, "FLOP"), si(e.Total.BytesRead, "B"), si(e.Total.BytesWritten, "B"), e.Total.Intensity,
		seconds(e.Total.Seconds), si(e.Device.FLOPS, "FLOP/s"), si(e.Device.Bandwidth, "B/s"), e.Device.origin())
	e.textPhases(&b)
	e.textBranches(&b)
	e.textKernels(&b)
	e.textNodes(&b)
	e.textForm(&b)
	e.textEdges(&b)
	e.textCaches(&b)
	e.Placement.text(&b)
	textPlan(&b, "plan for the executor", e.Plan, e.stepKernels())
	buffers := make([]string, len(e.Buffers))
	for i, n := range e.Buffers {
		buffers[i] = fmt.Sprintf("%d: %s", i, si(float64(n), "B"))
	}
	fmt.Fprintf(&b, "scratch buffers at these sizes: %s\n", strings.Join(buffers, ", "))
	if e.Client != nil {
		textPlan(&b, "plan for the client partition", e.Client, nil)
	}
	return b.String()
}

// origin tells, in a line that shows the device's speeds, where they come from
// and what else they are.
func (d Device) origin() string {
	s := ""
	if d.HalfFLOPS > 0 {
		s = ", " + si(d.HalfFLOPS, "FLOP/s") + " with 16-bit weights"
	}
	if d.Source != "" {
		s += " (" + d.Source + ")"
	}
	return s
}

// table writes rows of cells under a header.
func table(b *strings.Builder, head string, rows func(row func(cells ...any))) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	row := func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				_, _ = w.Write([]byte{'\t'})
			}
			_, _ = fmt.Fprint(w, c)
		}
		_, _ = w.Write([]byte{'\n'})
	}
	for i, h := range strings.Split(head, "|") {
		if i > 0 {
			_, _ = w.Write([]byte{'\t'})
		}
		_, _ = w.Write([]byte(h))
	}
	_, _ = w.Write([]byte{'\n'})
	rows(row)
	_ = w.Flush()
}

func (e *Explanation) textPhases(b *strings.Builder) {
	fmt.Fprintf(b, "\n%d phases\n", len(e.Phases))
	table(b, "phase|operators|FLOP|read|written|time", func(row func(...any)) {
		for _, p := range e.Phases {
			row(p.Phase, p.Nodes, si(p.Cost.FLOPs, ""), si(p.Cost.BytesRead, "B"), si(p.Cost.BytesWritten, "B"), seconds(p.Cost.Seconds))
		}
	})
}

func (e *Explanation) textBranches(b *strings.Builder) {
	fmt.Fprintf(b, "\n%d parallel branches\n", len(e.Branches))
	if len(e.Branches) == 0 {
		return
	}
	table(b, "branch|modality|nodes|FLOP|time", func(row func(...any)) {
		for _, br := range e.Branches {
			var cost ExplainedCost
			for _, id := range br.Nodes {
				cost.FLOPs += e.Nodes[id].Cost.FLOPs
				cost.Seconds += e.Nodes[id].Cost.Seconds
			}
			row(br.ID, br.Modality, len(br.Nodes), si(cost.FLOPs, ""), seconds(cost.Seconds))
		}
	})
}

func (e *Explanation) textNodes(b *strings.Builder) {
	fmt.Fprintf(b, "\n%d nodes\n", len(e.Nodes))
	table(b, "node|what|shape|phase|residency|modality|branch|FLOP|read|written|time|kernel|captured at", func(row func(...any)) {
		for i := range e.Nodes {
			n := &e.Nodes[i]
			if n.Dead {
				row(ref(n.ID), n.label(), spec(n), "nothing reads it")
				continue
			}
			row(ref(n.ID), n.label(), spec(n), n.Phase, n.Residency, n.Modality, n.Branch,
				si(n.Cost.FLOPs, ""), si(n.Cost.BytesRead, "B"), si(n.Cost.BytesWritten, "B"), seconds(n.Cost.Seconds), dash(n.Kernel), dash(n.Location))
		}
	})
}

func (e *Explanation) textEdges(b *strings.Builder) {
	critical := 0
	for _, x := range e.Edges {
		if x.Critical {
			critical++
		}
	}
	fmt.Fprintf(b, "\n%d edges, %d of them on the critical path\n", len(e.Edges), critical)
	table(b, "from|to|bytes|produced at|consumed at|critical", func(row func(...any)) {
		for _, x := range e.Edges {
			mark := "-"
			if x.Critical {
				mark = "critical"
			}
			row(ref(x.From), ref(x.To), si(x.Bytes, "B"), si(x.Rate, "B/s"), si(x.Demand, "B/s"), mark)
		}
	})
}

func (e *Explanation) textCaches(b *strings.Builder) {
	fmt.Fprintf(b, "\n%d KV caches\n", len(e.Caches))
	if len(e.Caches) == 0 {
		return
	}
	table(b, "input|mode|axis|rows before|rows added|query rows|updated by|new rows", func(row func(...any)) {
		for _, c := range e.Caches {
			row(c.Input, c.Mode, c.Axis, c.Old, c.New, c.Query, ref(c.Update), ref(c.Rows))
		}
	})
}

// textPlan lists the inputs, outputs, retained values and steps.
func textPlan(b *strings.Builder, title string, p *plan.Plan, kernel func(step int) (name, time string)) {
	fmt.Fprintf(b, "\n%s: %d steps, %d values in %d scratch buffers, %d weights by content\n",
		title, len(p.Steps), len(p.Values), p.Buffers, countKind(p, plan.KindWeight))
	fmt.Fprintf(b, "inputs %d\n", len(p.Inputs))
	table(b, "  value|name|spec", func(row func(...any)) {
		for _, in := range p.Inputs {
			row("  "+value(in.Value), in.Name, p.Values[in.Value].Spec)
		}
	})
	fmt.Fprintf(b, "outputs %d\n", len(p.Outputs))
	table(b, "  value|name|spec|place|counts as", func(row func(...any)) {
		for _, o := range p.Outputs {
			row("  "+value(o.Value), o.Name, p.Values[o.Value].Spec, o.Place, o.Cause)
		}
	})
	fmt.Fprintf(b, "states %d\n", len(p.States))
	if len(p.States) > 0 {
		table(b, "  name|mode|axis|before|after|spec", func(row func(...any)) {
			for _, s := range p.States {
				row("  "+s.Name, s.Mode, s.Axis, value(s.In), value(s.Out), p.Values[s.In].Spec)
			}
		})
	}
	b.WriteString("steps\n")
	head := "  step|operator|reads|writes|spec|buffer|device|branch"
	if kernel != nil {
		head += "|kernel|time"
	}
	table(b, head, func(row func(...any)) {
		for i, s := range p.Steps {
			cells := []any{
				"  " + strconv.Itoa(i), callText(s.Op, s.Attrs), operands(p, s.In), value(s.Out), p.Values[s.Out].Spec,
				buffer(p.Values[s.Out].Buffer), s.Device, s.Branch,
			}
			if kernel != nil {
				name, time := kernel(i)
				cells = append(cells, name, time)
			}
			row(cells...)
		}
	})
}

func countKind(p *plan.Plan, k plan.Kind) int {
	n := 0
	for i := range p.Values {
		if p.Values[i].Kind == k {
			n++
		}
	}
	return n
}

// operands lists the values that a step reads, leaves by name.
func operands(p *plan.Plan, in []int) string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = value(v)
		if name := p.Values[v].Name; name != "" && p.Values[v].Kind != plan.KindTemp {
			out[i] += "=" + name
		}
	}
	return strings.Join(out, " ")
}

// dash is a text, or a dash for none.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func buffer(n int) string {
	if n == plan.NoBuffer {
		return "-"
	}
	return strconv.Itoa(n)
}

// ref names a node of the graph; value names a value of a plan.
func ref(id int) string { return "%" + strconv.Itoa(id) }

func value(id int) string { return "v" + strconv.Itoa(id) }

// spec is the type and the shape with its symbols.
func spec(n *ExplainedNode) string {
	s := n.Storage.String() + n.Shape.String()
	if n.Storage != n.DType {
		s += " as " + n.DType.String()
	}
	return s
}

// callText writes an operator with its attributes: softmax(axis=-1).
func callText(op string, attrs plan.Attrs) string {
	if len(attrs) == 0 {
		return op
	}
	parts := make([]string, len(attrs))
	for i, a := range attrs {
		parts[i] = a.Key + "="
		switch a.Kind {
		case plan.AttrInt:
			parts[i] += strconv.FormatInt(a.Int, 10)
		case plan.AttrFloat:
			parts[i] += strconv.FormatFloat(a.F64, 'g', -1, 64)
		case plan.AttrString:
			parts[i] += a.Str
		case plan.AttrInts:
			parts[i] += fmt.Sprint(a.Ints)
		case plan.AttrDims:
			parts[i] += plan.Shape(a.Dims).String()
		}
	}
	return op + "(" + strings.Join(parts, ", ") + ")"
}

// si writes a quantity with a decimal prefix, and "-" for none.
func si(x float64, unit string) string {
	if x == 0 {
		return "-"
	}
	prefixes := []string{"", "k", "M", "G", "T", "P"}
	i := 0
	for x >= 999.5 && i < len(prefixes)-1 {
		x /= 1000
		i++
	}
	text := strconv.FormatFloat(x, 'g', 3, 64)
	if i+len(unit) == 0 {
		return text
	}
	return text + " " + prefixes[i] + unit
}

func seconds(s float64) string {
	switch {
	case s == 0:
		return "-"
	case s < 1e-3:
		return strconv.FormatFloat(s*1e6, 'g', 3, 64) + " us"
	case s < 1:
		return strconv.FormatFloat(s*1e3, 'g', 3, 64) + " ms"
	}
	return strconv.FormatFloat(s, 'g', 4, 64) + " s"
}
