package emulator

import "time"

// special is a special register.
type special uint8

const (
	tidX special = iota
	tidY
	tidZ
	ntidX
	ntidY
	ntidZ
	ctaidX
	ctaidY
	ctaidZ
	nctaidX
	nctaidY
	nctaidZ
	laneID
	warpID
	warpCount
	warpSize
	smID
	smCount
	maskEq
	maskLt
	maskLe
	maskGt
	maskGe
	dynamicSize
	totalSize
	clock32
	clock64
	globalTimer
)

var specials = map[string]special{
	"%tid.x": tidX, "%tid.y": tidY, "%tid.z": tidZ, "%ntid.x": ntidX, "%ntid.y": ntidY, "%ntid.z": ntidZ,
	"%ctaid.x": ctaidX, "%ctaid.y": ctaidY, "%ctaid.z": ctaidZ, "%nctaid.x": nctaidX, "%nctaid.y": nctaidY, "%nctaid.z": nctaidZ,
	"%laneid": laneID, "%warpid": warpID, "%nwarpid": warpCount, "WARP_SZ": warpSize, "%smid": smID, "%nsmid": smCount,
	"%lanemask_eq": maskEq, "%lanemask_lt": maskLt, "%lanemask_le": maskLe, "%lanemask_gt": maskGt, "%lanemask_ge": maskGe,
	"%dynamic_smem_size": dynamicSize, "%total_smem_size": totalSize, "%clock": clock32, "%clock64": clock64, "%globaltimer": globalTimer,
}

// specialSlot is a register that each warp sets as a block begins.
func (d *decoder) specialSlot(name special) slot {
	if s, ok := d.special[name]; ok {
		return s
	}
	k := b32
	if name == clock64 || name == globalTimer {
		k = b64
	}
	s := d.slot(k)
	d.special[name] = s
	d.k.specials = append(d.k.specials, specialSlot{s, name})
	return s
}

// setThreads sets the special registers that are the same in every block.
func (w *warp) setThreads(l *launch) {
	for _, s := range w.b.k.specials {
		if s.name <= tidZ || s.name >= laneID && s.name != clock64 && s.name != globalTimer {
			r := &w.r32[s.slot.at]
			for i := range r {
				r[i] = w.special(s.name, i, l)
			}
		}
	}
}

// setSpecials sets the others.
func (w *warp) setSpecials() {
	for _, s := range w.b.k.specials {
		switch {
		case s.name == clock64 || s.name == globalTimer:
			now := uint64(time.Now().UnixNano())
			for i := range w.r64[s.slot.at] {
				w.r64[s.slot.at][i] = now
			}
		case s.name > tidZ && s.name < laneID:
			fill(&w.r32[s.slot.at], w.special(s.name, 0, w.b.launch))
		}
	}
}

// special is the value of a special register in a lane.
func (w *warp) special(name special, lane int, l *launch) uint32 {
	thread := w.index*lanes + lane
	b := w.b
	switch name {
	case tidX:
		return uint32(thread % l.block.X)
	case tidY:
		return uint32(thread / l.block.X % l.block.Y)
	case tidZ:
		return uint32(thread / l.block.X / l.block.Y)
	case ntidX, ntidY, ntidZ:
		return uint32([3]int{l.block.X, l.block.Y, l.block.Z}[name-ntidX])
	case ctaidX, ctaidY, ctaidZ:
		return uint32([3]int{b.x, b.y, b.z}[name-ctaidX])
	case nctaidX, nctaidY, nctaidZ:
		return uint32([3]int{l.grid.X, l.grid.Y, l.grid.Z}[name-nctaidX])
	case laneID:
		return uint32(lane)
	case warpID:
		return uint32(w.index)
	case warpCount:
		return uint32(len(b.warps))
	case warpSize:
		return lanes
	case smCount:
		return multiprocessors
	case maskEq:
		return 1 << lane
	case maskLt:
		return 1<<lane - 1
	case maskLe:
		return 2<<lane - 1
	case maskGt:
		return ^uint32(2<<lane - 1)
	case maskGe:
		return ^uint32(1<<lane - 1)
	case dynamicSize:
		return uint32(l.shared)
	case totalSize:
		return uint32(b.k.static + l.shared)
	default: // of which multiprocessor, and the clock
		return 0
	}
}
