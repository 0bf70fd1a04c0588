package semantic

import (
	"fmt"
	"path"
	"strings"

	"github.com/genie-sdk/go/lazy"
)

// location is where a tensor was captured: the file with its directory, which
// tells files of one name apart, and the line.
func location(t *lazy.Tensor) string {
	l := t.Location()
	if l.File == "" {
		return ""
	}
	l.File = path.Join(path.Base(path.Dir(l.File)), path.Base(l.File))
	return l.String()
}

// explainForm tells which nodes are computed by other operators than they are
// captured as, and lists the notes.
func (s *SRG) explainForm(e *Explanation) {
	for _, n := range s.Notes {
		e.Notes = append(e.Notes, ExplainedNote{Rule: n.Rule, Node: n.At.ID(), Reason: n.Reason})
	}
	if s.form == nil {
		return
	}
	f := s.form
	for id := range e.Nodes {
		n, t := &e.Nodes[id], f.to[id]
		if at := f.into[id]; at >= 0 {
			n.Into = &at
			e.Nodes[at].Absorbed = append(e.Nodes[at].Absorbed, id)
			continue
		}
		if n.Dead {
			continue
		}
		switch from := f.from[t.ID()]; {
		case from != nil && from.ID() != id:
			n.As = ref(from.ID())
		case t.Op() == nil && n.Op != "":
			n.As = kindText(t.Kind())
		case t.Op() != nil:
			if n.Op == "matmul" {
				t = f.srg.Graph.Tensors()[f.work(t.ID(), true)]
			}
			if as := callText(t.Op().Name(), t.Op().Attrs()); as != n.Call {
				n.As = as
			}
		}
	}
}

// textForm lists what the normal form computes otherwise, and the notes.
func (e *Explanation) textForm(b *strings.Builder) {
	count := 0
	for i := range e.Nodes {
		if e.Nodes[i].As != "" || len(e.Nodes[i].Absorbed) > 0 {
			count++
		}
	}
	if count > 0 {
		fmt.Fprintf(b, "\n%d nodes computed in another form\n", count)
		table(b, "node|captured as|at|computed as|absorbs", func(row func(...any)) {
			for i := range e.Nodes {
				n := &e.Nodes[i]
				if n.As == "" && len(n.Absorbed) == 0 {
					continue
				}
				as := n.As
				if as == "" {
					as = n.label()
				}
				row(ref(n.ID), n.label(), n.Location, as, refs(n.Absorbed))
			}
		})
	}
	if len(e.Notes) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%d patterns not taken\n", len(e.Notes))
	for _, n := range e.Notes {
		fmt.Fprintf(b, "  %s at %s (%s): %s\n", n.Rule, ref(n.Node), e.Nodes[n.Node].Location, n.Reason)
	}
}

// refs names nodes, "-" for none.
func refs(ids []int) string {
	if len(ids) == 0 {
		return "-"
	}
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = ref(id)
	}
	return strings.Join(out, " ")
}

// dotForm draws from each absorbed node to the one that absorbed it.
func (e *Explanation) dotForm(b *strings.Builder) {
	for i := range e.Nodes {
		if at := e.Nodes[i].Into; at != nil {
			fmt.Fprintf(b, "    n%d -> n%d [style=dotted, constraint=false, label=\"absorbed\"];\n", i, *at)
		}
	}
}
