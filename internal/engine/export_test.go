package engine

// Branches lists the sizes of a program's branches and of the rest, in groups.
func Branches(p *Program) []int {
	if len(p.lanes) == 0 {
		return nil
	}
	out := []int{}
	for _, l := range p.lanes {
		out = append(out, l.to-l.from)
	}
	return append(out, len(p.groups)-p.lanes[len(p.lanes)-1].to)
}

// NewReference makes an engine that runs every step of a plan by itself, with
// its reference where plain is true and with the kernels otherwise.
func NewReference(opts Options, plain bool) (*Engine, error) {
	opts.separate, opts.plain = true, plain
	return New(opts)
}
