package mixed

import (
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// code implements [device.Code].
type code struct {
	d            *Device
	prog         *program.Program
	primary, cpu half
	side         []side // by group
	at           []int  // by group: its index among those of its side
	before       []int  // by group and at the end: the number of the device's groups before it
	uses         []uses // by group
}

// half is the part of the program that one device runs.
type half struct {
	prog    *program.Program
	code    device.Code
	groups  []int  // of the whole program, in order
	weights []bool // by value: the half reads it
	inputs  []bool // by value
	states  []bool // by state
}

// uses is the values that a group reads and writes and that move between the
// devices.
type uses struct {
	reads  []int // values in scratch memory, each the root of its memory
	states []int // that it reads or writes
	out    int   // value in scratch memory, -1 for none
	writes int   // state, -1 for none
}

// newCode decides which device runs which group.
func newCode(d *Device, p *program.Program) *code {
	c := &code{d: d, prog: p, side: make([]side, len(p.Groups)), at: make([]int, len(p.Groups)), uses: make([]uses, len(p.Groups))}
	for _, h := range []*half{&c.primary, &c.cpu} {
		h.weights, h.inputs = make([]bool, len(p.Places)), make([]bool, len(p.Places))
		h.states = make([]bool, len(p.Plan().States))
	}
	for i := range p.Groups {
		c.side[i] = onDevice
		for _, k := range p.Groups[i].Steps {
			if !p.Res.View[k] && d.can.Lacks(p.Res.Ops[k], p.Inputs(k)) {
				c.side[i] = onHost
			}
		}
		c.before = append(c.before, len(c.primary.groups))
		h := c.half(i)
		c.at[i], h.groups = len(h.groups), append(h.groups, i)
		c.findUses(i, h)
	}
	c.before = append(c.before, len(c.primary.groups))
	for _, o := range p.Plan().Outputs {
		c.primary.weights[p.Res.Base[o.Value]] = true
	}
	for _, s := range p.Plan().States {
		c.primary.weights[p.Res.Base[s.Out]] = true
	}
	c.primary.prog = p // with its lanes, if all groups are the device's
	if len(c.cpu.groups) > 0 {
		c.primary.prog, c.cpu.prog = p.Subset(c.primary.groups), p.Subset(c.cpu.groups)
	}
	return c
}

// half is the device that runs group i.
func (c *code) half(i int) *half {
	if c.side[i] == onHost {
		return &c.cpu
	}
	return &c.primary
}

// findUses finds the values that group i reads and writes.
func (c *code) findUses(i int, h *half) {
	p, u := c.prog, uses{out: -1, writes: -1}
	inside, seen := map[int]bool{}, map[int]bool{}
	for _, k := range p.Groups[i].Steps {
		inside[p.Res.Base[p.Plan().Steps[k].Out]] = true
	}
	base := p.Res.Base[p.Groups[i].Out]
	if s := p.Res.State[base]; s >= 0 {
		u.writes, u.states = s, append(u.states, s)
		h.states[s] = true
		delete(inside, base) // it reads what it writes
	} else {
		u.out = base
	}
	for _, k := range p.Groups[i].Steps {
		for _, v := range p.Plan().Steps[k].In {
			base := p.Res.Base[v]
			if inside[base] || seen[base] {
				continue
			}
			seen[base] = true
			s := p.Res.State[base]
			switch kind := p.Plan().Values[base].Kind; {
			case s >= 0 && s != u.writes:
				u.states = append(u.states, s)
				h.states[s] = true
			case s >= 0:
			case kind == plan.KindWeight:
				h.weights[base] = true
			case kind == plan.KindInput:
				h.inputs[base] = true
			case kind == plan.KindTemp:
				u.reads = append(u.reads, base)
			}
		}
	}
	c.uses[i] = u
}

// Elsewhere implements [device.Code].
func (c *code) Elsewhere() []string {
	if len(c.cpu.groups) == 0 {
		return nil
	}
	out := make([]string, len(c.side))
	for i, s := range c.side {
		if s == onHost {
			out[i] = c.d.cpu.Info().Kind
		}
	}
	return out
}

// Joint implements [device.Code]: the device's.
func (c *code) Joint() []bool {
	own := c.primary.code.Joint()
	if own == nil || c.cpu.code == nil {
		return own
	}
	joint := make([]bool, len(c.side))
	for i, k := range c.primary.groups {
		joint[k] = own[i]
	}
	return joint
}

// RunHeap implements [device.Code].
func (c *code) RunHeap() int64 {
	n := c.primary.code.RunHeap() + runBytes + runValueBytes*int64(len(c.prog.Places)) + runGroupBytes*int64(len(c.side))
	if c.cpu.code != nil {
		n += c.cpu.code.RunHeap()
	}
	return n
}

// The memory of this process that a run takes in addition to those of the
// devices.
const (
	runBytes      = 1 << 10
	runValueBytes = 2 + 2*16 // two flags, and two weights during preparation
	runGroupBytes = 2 * 8    // two times
)

// NewBatch implements [device.Code].
func (c *code) NewBatch() device.Batch { return &batch{code: c, own: c.primary.code.NewBatch()} }
