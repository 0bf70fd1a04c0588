package mixed

import (
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/transport/plan"
)

// layout is how a weight is stored on each of the devices; nil for one without
// a group that reads it.
type layout struct{ primary, cpu device.WeightLayout }

// Layouts implements [device.Code].
func (c *code) Layouts() map[int]device.WeightLayout {
	out := map[int]device.WeightLayout{}
	own, host := c.primary.code.Layouts(), map[int]device.WeightLayout{}
	if c.cpu.code != nil {
		host = c.cpu.code.Layouts()
	}
	for v := range c.prog.Plan().Values {
		if c.prog.Plan().Values[v].Kind != plan.KindWeight {
			continue
		}
		var l layout
		if c.cpu.weights[v] {
			l.cpu = host[v]
		}
		if c.onPrimary(v) {
			l.primary = own[v]
		}
		out[v] = l
	}
	return out
}

// onPrimary reports whether the device holds a weight: one that it reads, or
// that nothing reads.
func (c *code) onPrimary(v int) bool { return c.primary.weights[v] || !c.cpu.weights[v] }

// WeightSizes implements [device.Code].
func (c *code) WeightSizes(v int) (s device.WeightSizes, err error) {
	own, host, err := c.sizes(v)
	return device.WeightSizes{
		Content: max(own.Content, host.Content), Packed: own.Packed || host.Packed,
		Peak: own.Peak + host.Peak, Held: own.Held + host.Held, Staging: own.Staging + host.Staging,
	}, err
}

func (c *code) sizes(v int) (own, host device.WeightSizes, err error) {
	if c.onPrimary(v) {
		if own, err = c.primary.code.WeightSizes(v); err != nil {
			return own, host, err
		}
	}
	if c.cpu.weights[v] {
		host, err = c.cpu.code.WeightSizes(v)
	}
	return own, host, err
}

// LoadWeight implements [device.Code].
func (c *code) LoadWeight(v int, _ device.WeightSizes) (device.WeightLoader, error) {
	own, host, err := c.sizes(v)
	if err != nil {
		return nil, err
	}
	l := &loader{}
	if c.onPrimary(v) {
		if l.primary, err = c.primary.code.LoadWeight(v, own); err != nil {
			return nil, err
		}
	}
	if c.cpu.weights[v] {
		if l.cpu, err = c.cpu.code.LoadWeight(v, host); err != nil {
			l.Abort()
			return nil, err
		}
	}
	return l, nil
}

// loader implements [device.WeightLoader] for both devices; nil for one that
// has none.
type loader struct{ primary, cpu device.WeightLoader }

// Write implements [device.WeightLoader].
func (l *loader) Write(b []byte) {
	if l.primary != nil {
		l.primary.Write(b)
	}
	if l.cpu != nil {
		l.cpu.Write(b)
	}
}

// Finish implements [device.WeightLoader].
func (l *loader) Finish() (_ device.Weight, err error) {
	var w weight
	if l.primary != nil {
		if w.primary, err = l.primary.Finish(); err != nil {
			l.primary = nil // nothing is left of it
			l.Abort()
			return nil, err
		}
	}
	if l.cpu != nil {
		if w.cpu, err = l.cpu.Finish(); err != nil {
			w.cpu = nil
			w.Free()
			return nil, err
		}
	}
	return &w, nil
}

// Abort implements [device.WeightLoader].
func (l *loader) Abort() {
	if l.primary != nil {
		l.primary.Abort()
	}
	if l.cpu != nil {
		l.cpu.Abort()
	}
}

// Bytes implements [device.WeightLoader].
func (l *loader) Bytes() (n int64) {
	if l.primary != nil {
		n += l.primary.Bytes()
	}
	if l.cpu != nil {
		n += l.cpu.Bytes()
	}
	return n
}

// weight implements [device.Weight]; a part is nil if a device has none.
type weight struct{ primary, cpu device.Weight }

// Bytes implements [device.Weight].
func (w *weight) Bytes() (n int64) {
	if w.primary != nil {
		n += w.primary.Bytes()
	}
	if w.cpu != nil {
		n += w.cpu.Bytes()
	}
	return n
}

// Packed implements [device.Weight].
func (w *weight) Packed() bool {
	return w.primary != nil && w.primary.Packed() || w.cpu != nil && w.cpu.Packed()
}

// Free implements [device.Weight].
func (w *weight) Free() {
	if w.primary != nil {
		w.primary.Free()
	}
	if w.cpu != nil {
		w.cpu.Free()
	}
}
