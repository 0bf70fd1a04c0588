package emulator

import (
	"fmt"
	"math/bits"
)

// shfl decodes shfl.sync.MODE.b32 d{|p}, a, b, c, mask.
func (d *decoder) shfl(s *statement) error {
	if !s.has("sync") || s.last() != b32 {
		return nil
	}
	var err error
	if d.in.d, err = d.result(&s.args[0], b32); err != nil {
		return err
	}
	d.in.e = -1
	if s.args[0].also != "" && s.args[0].also != "_" {
		if d.in.e, err = d.result(&arg{kind: argName, name: s.args[0].also}, pred); err != nil {
			return err
		}
	}
	if err = d.sources(b32, &s.args[1], &s.args[2], &s.args[3]); err != nil {
		return err
	}
	members, err := d.source(&s.args[4], b32)
	if err != nil {
		return err
	}
	d.in.moves, d.in.from = moveItself, [2]int32{-1, -1}
	source := shuffles[s.op[2]]
	if source != nil {
		d.in.exec = func(w *warp, in *instruction, mask uint32) { shuffle(w, in, mask, members, source) }
	}
	return nil
}

// shuffles are the modes of shfl: the lane that a lane reads, and whether it is
// inside the segment.
var shuffles = map[string]func(lane, b, most, least, segment int) (int, bool){
	"up":   func(lane, b, most, _, _ int) (int, bool) { return lane - b, lane-b >= most },
	"down": func(lane, b, most, _, _ int) (int, bool) { return lane + b, lane+b <= most },
	"bfly": func(lane, b, most, _, _ int) (int, bool) { return lane ^ b, lane^b <= most },
	"idx": func(_, b, most, least, segment int) (int, bool) {
		j := least | b&^segment
		return j, j <= most
	},
}

// shuffle executes shfl.sync. A lane that reads one that does not execute it has
// a result that is not written.
func shuffle(w *warp, in *instruction, mask uint32, members int32, source func(lane, b, most, least, segment int) (int, bool)) {
	if !w.agree(in, mask, members) {
		return
	}
	from := w.r32[in.a]
	found, inside := uint32(0), uint32(0)
	for left := mask; left != 0; left &= left - 1 {
		lane := bits.TrailingZeros32(left) & 31
		c := int(w.r32[in.c][lane])
		segment := c >> 8 & 31
		j, ok := source(lane, int(w.r32[in.b][lane]&31), lane&segment|c&31&^segment, lane&segment, segment)
		if !ok {
			j = lane
		} else {
			inside |= 1 << lane
		}
		j &= 31
		if mask>>j&1 != 0 {
			found |= 1 << lane
		}
		w.r32[in.d][lane] = from[j]
	}
	if in.e >= 0 {
		w.preds[in.e] = w.preds[in.e]&^mask | inside
	}
	for _, s := range in.sets {
		written := found
		if s.file == filePred {
			written = mask
		}
		w.marks[s.mark] = w.marks[s.mark]&^mask | written
	}
}

// agree checks the member mask in a slot, which must be the same in all threads
// that execute the instruction.
func (w *warp) agree(in *instruction, mask uint32, members int32) bool {
	m := w.r32[members][bits.TrailingZeros32(mask)&31]
	for left := mask; left != 0; left &= left - 1 {
		lane := bits.TrailingZeros32(left) & 31
		if x := w.r32[members][lane]; x != m {
			w.fail(in, 1<<lane, BarrierDivergence, fmt.Sprintf("its member mask is %#x and that of another lane %#x", x, m))
			return false
		}
	}
	return w.together(in, mask, m)
}

// vote decodes vote.sync.MODE d, {!}p, mask.
func (d *decoder) vote(s *statement) error {
	if !s.has("sync") || len(s.args) != 3 {
		return nil
	}
	var err error
	to := s.last()
	if d.in.d, err = d.result(&s.args[0], to); err != nil {
		return err
	}
	if d.in.a, err = d.source(&s.args[1], pred); err != nil {
		return err
	}
	members, err := d.source(&s.args[2], b32)
	if err != nil {
		return err
	}
	flip := uint32(0)
	if s.args[1].not {
		flip = full
	}
	mode := s.op[2]
	if mode != "ballot" && mode != "all" && mode != "any" && mode != "uni" || (to == b32) != (mode == "ballot") {
		return nil
	}
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		if !w.agree(in, mask, members) {
			return
		}
		p := (w.preds[in.a] ^ flip) & mask
		holds := false
		switch mode {
		case "ballot":
			each(mask, func(i int) { w.r32[in.d][i] = p })
			return
		case "all":
			holds = p == mask
		case "any":
			holds = p != 0
		case "uni":
			holds = p == mask || p == 0
		}
		w.preds[in.d] &^= mask
		if holds {
			w.preds[in.d] |= mask
		}
	}
	return nil
}

func (d *decoder) activemask(s *statement) error {
	var err error
	d.in.d, err = d.result(&s.args[0], b32)
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		each(mask, func(i int) { w.r32[in.d][i] = mask })
	}
	return err
}

// match decodes match.any.sync: the lanes that hold the same value.
func (d *decoder) match(s *statement) error {
	if !s.has("any") || !s.has("sync") {
		return nil
	}
	var err error
	if d.in.d, err = d.result(&s.args[0], b32); err != nil {
		return err
	}
	a, err := d.operand(&s.args[1], s.last())
	if err != nil {
		return err
	}
	members, err := d.source(&s.args[2], b32)
	if err != nil {
		return err
	}
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		if !w.agree(in, mask, members) {
			return
		}
		var same row32
		each(mask, func(i int) {
			each(mask, func(j int) {
				if w.value(a, i) == w.value(a, j) {
					same[i] |= 1 << j
				}
			})
		})
		each(mask, func(i int) { w.r32[in.d][i] = same[i] })
	}
	return nil
}

// redux decodes a reduction of integers over the lanes of a mask.
func (d *decoder) redux(s *statement) error {
	k := s.last()
	f := combiner(s, k)
	if !s.has("sync") || k.width() != 4 || k.float() || f == nil {
		return nil
	}
	var err error
	if d.in.d, err = d.result(&s.args[0], k); err != nil {
		return err
	}
	if err = d.sources(k, &s.args[1]); err != nil {
		return err
	}
	members, err := d.source(&s.args[2], b32)
	if err != nil {
		return err
	}
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		if !w.agree(in, mask, members) {
			return
		}
		first := bits.TrailingZeros32(mask) & 31
		x := uint64(w.r32[in.a][first])
		each(mask&(mask-1), func(i int) { x = f(x, uint64(w.r32[in.a][i]), 0) & full })
		each(mask, func(i int) { w.r32[in.d][i] = uint32(x) })
	}
	return nil
}

// elect decodes elect.sync d|p, mask: the first of the lanes.
func (d *decoder) elect(s *statement) error {
	if !s.has("sync") || s.args[0].also == "" {
		return nil
	}
	var err error
	if d.in.d, err = d.result(&s.args[0], b32); err != nil {
		return err
	}
	if d.in.e, err = d.result(&arg{kind: argName, name: s.args[0].also}, pred); err != nil {
		return err
	}
	members, err := d.source(&s.args[1], b32)
	if err != nil {
		return err
	}
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		if !w.agree(in, mask, members) {
			return
		}
		each(mask, func(i int) { w.r32[in.d][i] = uint32(bits.TrailingZeros32(mask)) })
		w.preds[in.e] = w.preds[in.e]&^mask | mask&-mask
	}
	return nil
}
