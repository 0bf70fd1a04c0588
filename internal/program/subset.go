package program

// Subset is the program with only some of its groups, given in order, for one
// of the devices that share it. Values have the same places as in the whole,
// and the sizes are those of a [Bound] of the whole.
func (p *Program) Subset(groups []int) *Program {
	part := *p
	part.Groups, part.Labels, part.Lanes = make([]Group, 0, len(groups)), make([]string, 0, len(groups)), nil
	for _, i := range groups {
		part.Groups, part.Labels = append(part.Groups, p.Groups[i]), append(part.Labels, p.Labels[i])
	}
	return &part
}
