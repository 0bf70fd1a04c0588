package cuda

import "github.com/genie-sdk/go/internal/op"

// launchAppend writes the new rows after the valid ones, in the state's memory.
func launchAppend(r *run, g *group) error {
	if g.in[1].Len() == 0 {
		return nil
	}
	axis := axisOf(g.op.(op.Append).Axis, len(g.out.Shape))
	return r.d.kernels.AppendRows(r.st, r.paged(g.of.Out), *g.in[1], axis, g.in[0].Shape[axis])
}

// launchWriteRows overwrites rows of a state in place, or of a copy of a value.
func launchWriteRows(r *run, g *group) error {
	axis := axisOf(g.op.(op.WriteRows).Axis, len(g.out.Shape))
	return r.d.kernels.WriteRows(r.st, *g.out, *g.in[0], *g.in[1], *g.in[2], axis, r.queue.status, g.index)
}
