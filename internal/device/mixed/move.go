package mixed

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// has records where values in scratch memory have their current content.
func (r *run) has(s side) []bool {
	if s == onHost {
		return r.onHost
	}
	return r.onDevice
}

// lacks reports whether a side has stale content of something that group n
// reads.
func (r *run) lacks(n int, s side) bool {
	u, has := &r.code.uses[n], r.has(s)
	return slices.ContainsFunc(u.reads, func(v int) bool { return !has[v] }) ||
		slices.ContainsFunc(u.states, func(i int) bool { return r.anyBehind(i, s) })
}

func (r *run) anyBehind(state int, s side) bool {
	return slices.ContainsFunc(r.states[state], func(b *buffer) bool { return b.isBehind(s) })
}

// bring copies what group n reads to a side. Nothing is queued on the device.
func (r *run) bring(n int, to side) error {
	u, has := &r.code.uses[n], r.has(to)
	for _, v := range u.reads {
		if has[v] {
			continue
		}
		if err := r.move(v, to); err != nil {
			return err
		}
	}
	for _, i := range u.states {
		for _, b := range r.states[i] {
			if err := b.update(to, r.ctl.Halt); err != nil {
				return err
			}
		}
	}
	return nil
}

// move copies a value in scratch memory to a side, until the run is halted.
func (r *run) move(v int, to side) error {
	n, at, d := r.bound.Bytes(v), r.bound.Buffers[r.prog.Places[v].Buffer].Off, r.code.d.primary
	mem := r.hostArena[at : at+n]
	var err error
	if to == onHost {
		err = d.Download(mem, r.arena.own, at, r.ctl.Halt)
	} else {
		err = d.Upload(r.arena.own, at, mem, r.ctl.Halt)
	}
	switch {
	case err != nil:
		return err
	case r.ctl.Halted():
		return op.ErrHalted
	}
	r.has(to)[v] = true
	return nil
}

// writes records that group n is about to write on a side. The stale content of
// a state there has been updated.
func (r *run) writes(n int, s side) {
	u := &r.code.uses[n]
	if u.out >= 0 {
		r.onDevice[u.out], r.onHost[u.out] = s == onDevice, s == onHost
	}
	if u.writes < 0 {
		return
	}
	st, first := &r.prog.Plan().States[u.writes], 0
	if rows := r.place.States[u.writes].Rows; st.Mode == plan.StateAppend && rows > 0 {
		first = r.bound.Shape(st.In)[st.Axis] / rows // earlier pages stay unchanged
	}
	for _, b := range r.states[u.writes][min(first, len(r.states[u.writes])):] {
		b.written(s)
	}
}
