package cuda

import "github.com/genie-sdk/go/internal/device"

// WeightMemory is the memory of a weight.
func WeightMemory(w device.Weight) device.Buffer {
	x := w.(*weight)
	return &buffer{at: x.at, n: int(x.size)}
}

// Taken is the device memory that blocks have, and how much of it is spare.
func Taken(d device.Device) (taken, spare int64) {
	m := &d.(*Device).memory
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.taken, m.idle
}
