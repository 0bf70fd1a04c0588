package wire

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

const (
	// MaxProfileGroups bounds the groups of a profile. The worker adds up the
	// fastest ones beyond it.
	MaxProfileGroups = 4096
	// MaxProfileKernels bounds the different kernels of a profile.
	MaxProfileKernels = 256
	// MaxKernelName bounds the name of a kernel, in bytes.
	MaxKernelName = 64

	// profileBytes bounds the groups of a profile on the wire, and groupBytes and
	// stepBytes are the most that a group and each of its steps take, so that a
	// profile stays below MaxControl.
	profileBytes = MaxControl - MaxProfileKernels*(MaxKernelName+2) - 4<<10
	groupBytes   = 48
	stepBytes    = 5
)

// restKernel is the kernel of the groups that are added up.
const restKernel = "others"

// ProfileMessage is the wire form of a profile: the slowest groups that fit, and
// the sum of the others.
func ProfileMessage(p *transport.Profile) *wirepb.Profile {
	if p == nil {
		return nil
	}
	m := &wirepb.Profile{Runs: uint64(p.Runs)}
	index := map[string]uint32{}
	add := func(kernel string, g *transport.GroupProfile) {
		kernel = kernel[:min(len(kernel), MaxKernelName)]
		at, ok := index[kernel]
		if !ok && len(index) >= MaxProfileKernels-1 {
			kernel = restKernel
			at, ok = index[kernel]
		}
		if !ok {
			at = uint32(len(index))
			index[kernel] = at
			m.Kernels = append(m.Kernels, kernel)
		}
		x := &wirepb.GroupProfile{Kernel: at, Ns: uint64(g.Time), Count: uint64(g.Count), Bytes: uint64(g.Bytes)}
		for _, s := range g.Steps {
			x.Steps = append(x.Steps, uint32(s))
		}
		m.Groups = append(m.Groups, x)
	}
	keep, rest := fitting(p.Groups)
	for _, i := range keep {
		add(p.Groups[i].Kernel, &p.Groups[i])
	}
	if rest.Count > 0 {
		add(restKernel, &rest)
	}
	return m
}

// fitting lists the slowest groups that fit into a message, in order, and adds up
// the others.
func fitting(groups []transport.GroupProfile) (keep []int, rest transport.GroupProfile) {
	order := make([]int, len(groups))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(groups[b].Time, groups[a].Time) })
	room := profileBytes - groupBytes
	for _, i := range order {
		g := &groups[i]
		n := groupBytes + stepBytes*len(g.Steps)
		if len(keep) == MaxProfileGroups-1 || n > room || len(g.Steps) == 0 {
			rest.Time, rest.Count, rest.Bytes = rest.Time+g.Time, rest.Count+g.Count, rest.Bytes+g.Bytes
			continue
		}
		keep, room = append(keep, i), room-n
	}
	slices.Sort(keep)
	return keep, rest
}

// ProfileFrom reads a profile of a plan that a worker sent. Errors wrap
// [transport.ErrProtocol].
func ProfileFrom(m *wirepb.Profile, p *plan.Plan) (*transport.Profile, error) {
	bad := func(what string, n uint64) error {
		return fmt.Errorf("%w: a profile %s: %d", transport.ErrProtocol, what, n)
	}
	if n := len(m.GetGroups()); n > MaxProfileGroups {
		return nil, bad("with too many groups", uint64(n))
	}
	if n := len(m.GetKernels()); n > MaxProfileKernels {
		return nil, bad("with too many kernels", uint64(n))
	}
	kernels := make([]string, len(m.GetKernels()))
	for i, k := range m.GetKernels() {
		if len(k) > MaxKernelName {
			return nil, bad("with a long name of a kernel", uint64(len(k)))
		}
		kernels[i] = Words(strings.TrimSpace(k))
	}
	out := &transport.Profile{Plan: p.Hash(), Name: p.Name, Runs: int64(min(m.GetRuns(), math.MaxInt64))}
	steps := 0
	for _, g := range m.GetGroups() {
		if uint64(g.GetKernel()) >= uint64(len(kernels)) {
			return nil, bad("with an unknown kernel", uint64(g.GetKernel()))
		}
		x := transport.GroupProfile{
			Kernel: kernels[g.GetKernel()], Time: time.Duration(min(g.GetNs(), math.MaxInt64)),
			Count: int64(min(g.GetCount(), math.MaxInt64)), Bytes: int64(min(g.GetBytes(), math.MaxInt64)),
		}
		before := -1
		for _, s := range g.GetSteps() {
			if uint64(s) >= uint64(len(p.Steps)) || int(s) <= before {
				return nil, bad("with a step that is not the plan's, or not in order", uint64(s))
			}
			before = int(s)
			x.Steps = append(x.Steps, before)
		}
		if steps += len(x.Steps); steps > 2*len(p.Steps) { // by its kernel and by the reference
			return nil, bad("with more steps than the plan", uint64(steps))
		}
		if x.Name = transport.GroupName(p, x.Steps); len(x.Steps) == 0 {
			x.Name = x.Kernel
		}
		out.Groups = append(out.Groups, x)
	}
	return out, nil
}
